/** Guards of routes: middleware before a handler, or a wrapper around it if a use is counted. */
import { createMiddleware } from "hono/factory";
import { Problem } from "../errors.ts";
import { networkOf } from "../lib/address.ts";
import { errorFields, log } from "../lib/log.ts";
import { sameSecret } from "../lib/same-secret.ts";
import type { Demand } from "../store/limits/admissions.ts";
import type { Scope } from "../store/keys/api-keys.ts";
import type { Caller } from "./access.ts";
import type { AppContext, AppEnv } from "./index.ts";

const CHALLENGE = "Bearer";
const ADMIN_NEEDED = "Send the admin token as `Authorization: Bearer <token>`.";
const CREDENTIALS_NEEDED = "Send an API key or the admin token as `Authorization: Bearer <key or token>`.";

/** How long an address must wait after too many wrong credentials. Equals the binding's period in wrangler.jsonc. */
const FAILURES_PERIOD_SECONDS = 60;

/** Token in `Authorization: Bearer`. undefined: the header is missing or has another scheme. */
export const bearerToken = (c: AppContext): string | undefined => /^Bearer +(\S+)$/iu.exec(c.req.header("authorization") ?? "")?.[1];

/** Admits only the admin token. A valid key gets 403, anything else 401. */
export const adminOnly = createMiddleware<AppEnv>(async function adminOnly(c, next) {
  await assertAdmin(c);
  await next();
});

/** For a public route with parameters that need the admin token. Throws `unauthorized` or `forbidden`. */
export async function assertAdmin(c: AppContext): Promise<void> {
  const principal = c.get("principal");
  if (principal.kind === "admin") return;
  if (principal.kind === "anonymous") throw await refusedCredentials(c, ADMIN_NEEDED);
  if (principal.kind === "key") {
    const { project } = await principal.admit({ scope: null, kind: "own", meter: null });
    c.set("principal", project);
    c.set("probe", true);
  }
  throw new Problem("forbidden", "This request needs the admin token. A project's key is not enough.");
}

/** Admits the admin token and `METRICS_TOKEN`. Throws like `assertAdmin`. */
export async function assertMetricsReader(c: AppContext): Promise<void> {
  const { metricsToken } = c.get("deps").config;
  const given = bearerToken(c);
  if (metricsToken !== null && given !== undefined && (await sameSecret(given, metricsToken))) return;
  await assertAdmin(c);
}

/** Admits the admin token and active projects. */
export const projects = (scope: Scope) => admitting({ scope, kind: "use", meter: null });

/** Admits the admin token and projects, even suspended ones: they may still commit and release their reservations. */
export const grantedProjects = (scope: Scope) => admitting({ scope, kind: "own", meter: null });

function admitting(demand: Demand) {
  return createMiddleware<AppEnv>(async function admitProject(c, next) {
    await callerOf(c, demand);
    await next();
  });
}

/** Admits the admin token and the project `{id}`, even if it is suspended. An archived project may only read. Any other project gets 404. */
export const ownProject = (scope: Scope) =>
  createMiddleware<AppEnv>(async function ownProject(c, next) {
    const kind = c.req.method === "GET" || c.req.method === "HEAD" ? "own" : "own-change";
    const caller = await callerOf(c, { scope, kind, meter: null });
    const id = c.req.param("id");
    if (caller.kind === "project" && caller.projectId !== id) {
      c.set("probe", true);
      throw hiddenProject(id);
    }
    await next();
  });

/** Looks the same for a missing project, so that a key of another project learns nothing. */
export const hiddenProject = (id: string | undefined): Problem =>
  new Problem("not_found", `Project ${JSON.stringify(id)} does not exist, or this key may not see it.`);

async function callerOf(c: AppContext, demand: Demand): Promise<Caller> {
  const principal = c.get("principal");
  switch (principal.kind) {
    case "admin":
    case "project":
      return principal;
    case "anonymous":
      throw await refusedCredentials(c, CREDENTIALS_NEEDED);
    case "key": {
      const { project } = await principal.admit(demand);
      c.set("principal", project);
      return project;
    }
  }
}

/** Refuses requests without credentials before their input is read. `metered` looks up the key. */
export const credentialed = createMiddleware<AppEnv>(async function credentialed(c, next) {
  if (c.get("principal").kind === "anonymous") throw await refusedCredentials(c, CREDENTIALS_NEEDED);
  await next();
});

/**
 * Counts a use of the project after its input was validated, then does the work. If the work is refused and nothing was done, the use is
 * refunded in the background. Routes put `credentialed` before it.
 */
export async function metered<Result>(c: AppContext, demand: Demand, work: (caller: Caller) => Promise<Result>): Promise<Result> {
  const principal = c.get("principal");
  if (principal.kind !== "key") return work(await callerOf(c, demand));
  const { project, returnUse } = await principal.admit(demand);
  c.set("principal", project);
  try {
    return await work(project);
  } catch (error) {
    if (nothingWasDone(error)) returnUse();
    throw error;
  }
}

const REFUSALS: ReadonlySet<number> = new Set([400, 403, 404, 422, 429, 503]);

/** The refusal cost nothing. A use stays counted if a call was charged, if `counted` says so, or if the outcome is unknown. */
function nothingWasDone(error: unknown): boolean {
  if (!(error instanceof Problem) || error.members["counted"] === true) return false;
  const charged = error.members["calls_charged"];
  return charged === undefined ? REFUSALS.has(error.kind.status) : charged === 0;
}

async function refusedCredentials(c: AppContext, needed: string): Promise<Problem> {
  const principal = c.get("principal");
  const credentials = principal.kind === "anonymous" ? principal.credentials : "wrong";
  if (credentials === "none") return new Problem("unauthorized", needed, { headers: { "WWW-Authenticate": CHALLENGE } });
  await countFailure(c);
  const detail =
    credentials === "wrong" ? "The token is wrong." : "Malformed API key (checksum mismatch). Check for typos or missing characters.";
  return new Problem("unauthorized", detail, { headers: { "WWW-Authenticate": `${CHALLENGE} error="invalid_token"` } });
}

/**
 * Slows down an address that keeps sending wrong credentials: it gets 429 instead of 401. Valid credentials always work, so that one client
 * cannot lock out another behind the same address.
 */
export async function countFailure(c: AppContext): Promise<void> {
  // Only Cloudflare's edge sets this header. Without it, the client's address is unknown, so the failure is not counted.
  const address = c.req.header("cf-connecting-ip");
  if (address === undefined) return;
  if (await isBelowLimit(c, networkOf(address))) return;
  const detail = "This address sent wrong credentials too often. Correct them before you retry. Valid credentials work immediately.";
  throw new Problem("too_many_failures", detail, { retryAfterSeconds: FAILURES_PERIOD_SECONDS });
}

/** If the rate limiter fails, no client is slowed down. Wrong credentials are refused anyway. */
async function isBelowLimit(c: AppContext, key: string): Promise<boolean> {
  try {
    return (await c.env.AUTH_FAILURES.limit({ key })).success;
  } catch (error) {
    log.error("Counting wrong credentials failed", { request_id: c.get("requestId"), ...errorFields(error) });
    return true;
  }
}

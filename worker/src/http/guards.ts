/** Who may pass: put before the handlers of a route, or around them where a use is counted. */
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
const ADMIN_NEEDED = "Send the administrator's token as `Authorization: Bearer <token>`.";
const CREDENTIALS_NEEDED = "Send an API key or the administrator's token as `Authorization: Bearer <key or token>`.";

/** How long an address waits that sent wrong credentials too often; the binding's period in wrangler.jsonc. */
const FAILURES_PERIOD_SECONDS = 60;

/** What is sent as `Authorization: Bearer`; undefined where nothing is, or something else. */
export const bearerToken = (c: AppContext): string | undefined => /^Bearer +(\S+)$/iu.exec(c.req.header("authorization") ?? "")?.[1];

/** Lets only the administrator pass. A project's key that works is told so; anything else learns only that it is not accepted. */
export const adminOnly = createMiddleware<AppEnv>(async function adminOnly(c, next) {
  await needAdmin(c);
  await next();
});

/** For a route that is public but for some of what can be asked of it. */
export async function needAdmin(c: AppContext): Promise<void> {
  const principal = c.get("principal");
  if (principal.kind === "admin") return;
  if (principal.kind === "anonymous") throw await refusedCredentials(c, ADMIN_NEEDED);
  if (principal.kind === "key") {
    const { project } = await principal.admit({ scope: null, kind: "own", meter: null });
    c.set("principal", project);
    c.set("probe", true);
  }
  throw new Problem("forbidden", "This is for the administrator's token; a project's key does not open it.");
}

/** Lets the administrator pass, and whoever has the token that reads metrics and nothing else. */
export async function needMetricsReader(c: AppContext): Promise<void> {
  const { metricsToken } = c.get("deps").config;
  const given = bearerToken(c);
  if (metricsToken !== null && given !== undefined && (await sameSecret(given, metricsToken))) return;
  await needAdmin(c);
}

/** Lets the administrator and active projects pass. */
export const projects = (scope: Scope) => letIn({ scope, kind: "use", meter: null });

/** Lets the administrator and projects pass, even while they are stopped: what they were granted before is theirs to settle. */
export const grantedProjects = (scope: Scope) => letIn({ scope, kind: "own", meter: null });

function letIn(demand: Demand) {
  return createMiddleware<AppEnv>(async function letInProject(c, next) {
    await callerOf(c, demand);
    await next();
  });
}

/** Lets the administrator and the project named by `{id}` pass, even while it is stopped. Any other project is told that there is nothing here. */
export const ownProject = (scope: Scope) =>
  createMiddleware<AppEnv>(async function ownProject(c, next) {
    const caller = await callerOf(c, { scope, kind: "own", meter: null });
    const id = c.req.param("id");
    if (caller.kind === "project" && caller.projectId !== id) {
      c.set("probe", true);
      throw hiddenProject(id);
    }
    await next();
  });

/** Another project's key learns no more of it than that it may not see it. */
export const hiddenProject = (id: string | undefined): Problem =>
  new Problem("not_found", `There is no project ${JSON.stringify(id)} that this key may see.`);

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

/** Refuses those who sent nothing that could be credentials, before anybody looks at what they ask. A key is looked up by `metered`. */
export const credentialed = createMiddleware<AppEnv>(async function credentialed(c, next) {
  if (c.get("principal").kind === "anonymous") throw await refusedCredentials(c, CREDENTIALS_NEEDED);
  await next();
});

/**
 * Work that is counted for every project that asks for it, after its input was found valid. What is refused later, with nothing done for
 * it, is given back; that happens beside the answer, and never in its way. Routes put `credentialed` before it.
 */
export async function metered<Result>(c: AppContext, demand: Demand, work: (caller: Caller) => Promise<Result>): Promise<Result> {
  const principal = c.get("principal");
  if (principal.kind !== "key") return work(await callerOf(c, demand));
  const { project, giveBack } = await principal.admit(demand);
  c.set("principal", project);
  try {
    return await work(project);
  } catch (error) {
    if (nothingWasDone(error)) giveBack();
    throw error;
  }
}

const REFUSALS: ReadonlySet<number> = new Set([400, 403, 404, 422, 429, 503]);

/** A refusal that cost nothing. What a provider's call was charged for stays counted, and so does what says so and whatever nobody knows. */
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
    credentials === "wrong"
      ? "This token is not accepted."
      : "This is no whole API key: its checksum is wrong. Look for a typo, or a part that is missing.";
  return new Problem("unauthorized", detail, { headers: { "WWW-Authenticate": `${CHALLENGE} error="invalid_token"` } });
}

/**
 * Slows down an address that keeps sending wrong credentials: it gets 429 instead of 401. Right credentials always work, so that nobody is
 * locked out by a neighbour behind the same address.
 */
export async function countFailure(c: AppContext): Promise<void> {
  // Set by Cloudflare's edge, and only by it. Where there is none, there is no edge, and nobody to slow down.
  const address = c.req.header("cf-connecting-ip");
  if (address === undefined) return;
  if (await isStillFew(c, networkOf(address))) return;
  throw new Problem("too_many_failures", "Wrong credentials were sent from this address too often. Wait a minute before the next try.", {
    retryAfterSeconds: FAILURES_PERIOD_SECONDS,
  });
}

/** A failing limiter slows nobody down: wrong credentials are refused all the same. */
async function isStillFew(c: AppContext, key: string): Promise<boolean> {
  try {
    return (await c.env.AUTH_FAILURES.limit({ key })).success;
  } catch (error) {
    log.error("Wrong credentials could not be counted", { request_id: c.get("requestId"), ...errorFields(error) });
    return true;
  }
}

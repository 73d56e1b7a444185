/** The public quota page, sign-in and sign-out. */
import { createRoute, z } from "@hono/zod-openapi";
import { Problem } from "../../errors.ts";
import type { Deps } from "../../deps.ts";
import { createRouter } from "../../http/index.ts";
import type { AppContext } from "../../http/index.ts";
import { countFailure } from "../../http/guards.ts";
import { inTime } from "../../lib/in-time.ts";
import { errorFields, log } from "../../lib/log.ts";
import { sameSecret } from "../../lib/same-secret.ts";
import { publicStatus } from "../../quota/index.ts";
import { dayOf } from "../../lib/time.ts";
import { listCapsNearlyReached, listSuspendedProjects } from "../../store/projects/overview.ts";
import { THRESHOLDS } from "../../tenants/limits/thresholds.ts";
import { signedIn } from "../guard.ts";
import { sendPage } from "../page.tsx";
import type { Risk } from "../limits/at-risk.tsx";
import { HISTORY_DAYS, QuotaPage } from "./quota.tsx";
import { SignInPage } from "../sign-in.tsx";
import { beginSession, endSession, isPrivateConnection, sameOriginForm, sessionForm, sessionOf } from "../session.ts";

/** The ledger publishes its snapshot at most this often. */
const QUOTA_REFRESH_SECONDS = 5;
const MAX_RISKS = 6;
/** The page shows the quota without the database after this time. */
const RISK_TIMEOUT_MS = 2_000;

const getRoot = createRoute({
  method: "get",
  path: "/",
  tags: ["Service"],
  summary: "The dashboard",
  description:
    "A page for people. It shows whether today's quota lasts and its usage by caller. Projects, jobs, the harvest, signals and the audit log require a sign-in with the admin token.",
  responses: {
    200: { description: "The page", content: { "text/html": { schema: z.string() } } },
    503: {
      description: "The same page while the ledger and its snapshot are unavailable",
      content: { "text/html": { schema: z.string() } },
    },
  },
});

export const quotaPages = createRouter();

quotaPages.openapi(getRoot, async (c) => {
  const deps = c.get("deps");
  const session = await sessionOf(c);
  const { quota } = deps;
  const [overview, risk] =
    session === null
      ? [await quota.getPublicOverview(HISTORY_DAYS), null]
      : await Promise.all([quota.getOverview(HISTORY_DAYS, "by_project"), riskOf(deps)]);
  const visible = session === null ? { ...overview, status: publicStatus(overview.status) } : overview;
  const title = `${overview.status.remaining.toLocaleString("en-US")} left`;
  return sendPage(
    c,
    { title, session, place: "/", refresh: QUOTA_REFRESH_SECONDS },
    <QuotaPage overview={visible} risk={risk} now={deps.clock()} />,
  );
});

/** Returns `unknown` if the database fails, because the page is useful without it. */
async function riskOf({ db, clock }: Deps): Promise<Risk> {
  const now = clock();
  try {
    const risks = Promise.all([
      listCapsNearlyReached(db, { day: dayOf(now), now, percent: THRESHOLDS[0], limit: MAX_RISKS }),
      listSuspendedProjects(db, now, MAX_RISKS),
    ]);
    const [close, stopped] = await inTime("The database", RISK_TIMEOUT_MS, risks);
    return { close, stopped };
  } catch (error) {
    log.warn("Projects at risk not read", errorFields(error));
    return "unknown";
  }
}

quotaPages.get("/sign-in", async (c) => {
  const session = await sessionOf(c);
  const next = localPath(c, c.req.query("next"));
  return session === null ? signInPage(c, next, null) : c.redirect(next, 303);
});

quotaPages.post("/sign-in", async (c) => {
  const form = await sameOriginForm(c);
  const next = localPath(c, form["next"]);
  const token = (form["token"] ?? "").trim();
  // Others could read the token on this connection, and the browser would drop the cookie.
  if (!isPrivateConnection(c)) return signInPage(c, next, null);
  if (token === "") return signInPage(c, next, new Problem("invalid_request", "Enter the admin token."));
  if (await sameSecret(token, c.get("deps").config.adminToken)) {
    await beginSession(c);
    return c.redirect(next, 303);
  }
  return signInPage(c, next, await wrongToken(c));
});

/** Wrong tokens share the rate limit of wrong API credentials. */
async function wrongToken(c: AppContext): Promise<Problem> {
  try {
    await countFailure(c);
    return new Problem("unauthorized", "Invalid token.");
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}

async function signInPage(c: AppContext, next: string, failure: Problem | null): Promise<Response> {
  if (failure?.retryAfterSeconds !== undefined) c.header("Retry-After", String(failure.retryAfterSeconds));
  const content = <SignInPage next={next} failure={failure?.detail ?? null} isPrivate={isPrivateConnection(c)} />;
  return sendPage(c, { title: "Sign in", session: null, status: failure?.kind.status ?? 200 }, content);
}

quotaPages.post(
  "/sign-out",
  signedIn(async (c, session) => {
    await sessionForm(c, session);
    endSession(c);
    return c.redirect("/", 303);
  }),
);

/** Path to open after the sign-in. Never another host. */
function localPath(c: AppContext, given: string | undefined): string {
  const { origin } = new URL(c.req.url);
  const url = given?.startsWith("/") ? URL.parse(given, origin) : null;
  // A path that begins with two slashes would be an address of another host.
  return url?.origin === origin && !url.pathname.startsWith("//") ? `${url.pathname}${url.search}` : "/";
}

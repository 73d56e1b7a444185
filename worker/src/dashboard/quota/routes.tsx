/** The public page, and the way in and out. */
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
import { beginSession, endSession, isPrivateConnection, ownForm, sessionForm, sessionOf } from "../session.ts";

/** The ledger publishes at most that often what it knows. */
const QUOTA_REFRESH_SECONDS = 5;
const RISKS_SHOWN = 6;
/** Whoever looks at the quota does not wait longer for the rest. */
const RISK_TIMEOUT_MS = 2_000;

const getRoot = createRoute({
  method: "get",
  path: "/",
  tags: ["Service"],
  summary: "The dashboard",
  description:
    "A page for people: whether the day's quota lasts, and who spends it. Projects, jobs, the harvest, what monitoring reported and the audit log stand behind a sign-in with the admin token.",
  responses: {
    200: { description: "A page", content: { "text/html": { schema: z.string() } } },
    503: {
      description: "The same page, where neither the ledger nor its snapshot answers",
      content: { "text/html": { schema: z.string() } },
    },
  },
});

export const quotaPages = createRouter();

quotaPages.openapi(getRoot, async (c) => {
  const deps = c.get("deps");
  const session = await sessionOf(c);
  const view = session === null ? { own: null } : ("by_project" as const);
  const [overview, risk] = await Promise.all([deps.quota.getOverview(HISTORY_DAYS, view), session === null ? null : riskOf(deps)]);
  const shown = session === null ? { ...overview, status: publicStatus(overview.status) } : overview;
  const title = `${overview.status.remaining.toLocaleString("en-US")} left`;
  return sendPage(
    c,
    { title, session, place: "/", refresh: QUOTA_REFRESH_SECONDS },
    <QuotaPage overview={shown} risk={risk} now={deps.clock()} />,
  );
});

/** The quota is worth showing without the database. */
async function riskOf({ db, clock }: Deps): Promise<Risk> {
  const now = clock();
  try {
    const risks = Promise.all([
      listCapsNearlyReached(db, { day: dayOf(now), now, percent: THRESHOLDS[0], limit: RISKS_SHOWN }),
      listSuspendedProjects(db, now, RISKS_SHOWN),
    ]);
    const [close, stopped] = await inTime("The database", RISK_TIMEOUT_MS, risks);
    return { close, stopped };
  } catch (error) {
    log.warn("The dashboard does not know who is close to a cap", errorFields(error));
    return "unknown";
  }
}

quotaPages.get("/sign-in", async (c) => {
  const session = await sessionOf(c);
  const next = localPath(c, c.req.query("next"));
  return session === null ? signInPage(c, next, null) : c.redirect(next, 303);
});

quotaPages.post("/sign-in", async (c) => {
  const form = await ownForm(c);
  const next = localPath(c, form["next"]);
  const token = (form["token"] ?? "").trim();
  // Never over a connection that others can listen to: the browser would not keep the cookie, either.
  if (!isPrivateConnection(c)) return signInPage(c, next, null);
  if (token === "") return signInPage(c, next, new Problem("invalid_request", "Give the admin token."));
  if (await sameSecret(token, c.get("deps").config.adminToken)) {
    await beginSession(c);
    return c.redirect(next, 303);
  }
  return signInPage(c, next, await wrongToken(c));
});

/** Wrong tokens are slowed down together with wrong credentials of the API. */
async function wrongToken(c: AppContext): Promise<Problem> {
  try {
    await countFailure(c);
    return new Problem("unauthorized", "This token is not accepted.");
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}

async function signInPage(c: AppContext, next: string, failure: Problem | null): Promise<Response> {
  if (failure?.retryAfterSeconds !== undefined) c.header("Retry-After", String(failure.retryAfterSeconds));
  const content = <SignInPage next={next} failure={failure?.detail ?? null} possible={isPrivateConnection(c)} />;
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

/** Where to go on after the sign-in: only ever here. */
function localPath(c: AppContext, given: string | undefined): string {
  const { origin } = new URL(c.req.url);
  const url = given?.startsWith("/") ? URL.parse(given, origin) : null;
  // A path that begins with two slashes is another host's address.
  return url?.origin === origin && !url.pathname.startsWith("//") ? `${url.pathname}${url.search}` : "/";
}

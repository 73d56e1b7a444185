/** The dashboard: pages rendered on the server that need no script. */
import { HTTPException } from "hono/http-exception";
import { Problem } from "../errors.ts";
import { createRouter } from "../http/index.ts";
import type { AppContext } from "../http/index.ts";
import { errorFields, log } from "../lib/log.ts";
import { backupPages } from "./backups/routes.tsx";
import { jobPages } from "./jobs/routes.tsx";
import { libraryPages } from "./library/routes.tsx";
import { monitoringPages } from "./monitoring/routes.tsx";
import { sendPage } from "./page.tsx";
import { FailurePage } from "./failure.tsx";
import { projectPages } from "./projects/routes.tsx";
import { quotaPages } from "./quota/routes.tsx";
import { sessionOf } from "./session.ts";
import { webhookPages } from "./webhooks/routes.tsx";

const RETRY_SECONDS = 5;

export const dashboard = createRouter();
dashboard.onError(async (error, c) => failurePage(c, error));
const AREAS = [quotaPages, projectPages, webhookPages, backupPages, jobPages, libraryPages, monitoringPages];
for (const pages of AREAS) dashboard.route("/", pages);

/** Whether a browser requests a page. False for addresses of the API. */
export function acceptsPage(c: AppContext): boolean {
  return /\btext\/html\b/u.test(c.req.header("accept") ?? "") && !c.req.path.startsWith("/api/");
}

/** A failure as a page. */
export async function failurePage(c: AppContext, error: Error): Promise<Response> {
  const problem = asProblem(error);
  if (problem.kind.alarming) {
    const cause = problem.cause ?? error;
    log.error(problem.kind.title, { code: problem.code, request_id: c.get("requestId"), path: c.req.path, ...errorFields(cause) });
  }
  if (problem.retryAfterSeconds !== undefined) c.header("Retry-After", String(problem.retryAfterSeconds));
  const { status } = problem.kind;
  // A temporary failure is retried. A form is never sent again.
  const retry = status === 503 && c.req.method === "GET" ? { refresh: RETRY_SECONDS } : {};
  const options = { title: problem.kind.title, session: await sessionOf(c), status, ...retry };
  return sendPage(c, options, <FailurePage problem={problem} requestId={c.get("requestId")} />);
}

function asProblem(error: Error): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof HTTPException && error.status === 400) return new Problem("invalid_request", "The request is not valid.");
  return new Problem("internal_error", "Something went wrong on our side.", { cause: error });
}

/** Failure page: the cause and the next action. */
import type { Problem, ProblemCode } from "../errors.ts";
import { Mark } from "./parts.tsx";

/** Titles for readers of pages. Callers of the API see the problem's own title. */
export const TITLES = {
  storage_unavailable: "Database unavailable",
  quota_unavailable: "Remaining quota is unknown",
  not_found: "Not found",
  forbidden: "Not allowed",
  conflict: "Conflict",
  invalid_request: "Invalid request",
  internal_error: "Internal error",
} as const satisfies Partial<Record<ProblemCode, string>>;

const HINTS: Partial<Record<ProblemCode, string>> = {
  storage_unavailable: "Nothing was changed. The quota does not need the database. This page retries every few seconds.",
  quota_unavailable:
    "The ledger and its last snapshot are unavailable. Calls to the provider are paused. This page retries every few seconds.",
  internal_error: "Search the log for the request id.",
};

export function FailurePage({ problem, requestId }: { readonly problem: Problem; readonly requestId: string }) {
  return (
    <section class="card narrow" aria-labelledby="failure">
      <Mark level={problem.kind.status >= 500 ? "bad" : "warn"} />
      <h1 id="failure">{(TITLES as Partial<Record<ProblemCode, string>>)[problem.code] ?? problem.kind.title}</h1>
      <p>{problem.detail}</p>
      {HINTS[problem.code] === undefined ? null : <p>{HINTS[problem.code]}</p>}
      <p class="muted">
        {problem.kind.status} · {problem.code} · request {requestId}
      </p>
      <p>
        <a class="button" href="/">
          Back to dashboard
        </a>
      </p>
    </section>
  );
}

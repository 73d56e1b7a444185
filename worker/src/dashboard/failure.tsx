/** What went wrong, and what to do: for every page that cannot be shown. */
import type { Problem, ProblemCode } from "../errors.ts";
import { Mark } from "./parts.tsx";

/** In words for people who look at a page; the problem's own are for callers of the API. */
export const TITLES = {
  storage_unavailable: "The database does not answer",
  quota_unavailable: "Nobody knows how much is left",
  not_found: "There is nothing here",
  forbidden: "This was not done",
  conflict: "This was not done",
  invalid_request: "This was not done",
  internal_error: "A fault of ours",
} as const satisfies Partial<Record<ProblemCode, string>>;

const HINTS: Partial<Record<ProblemCode, string>> = {
  storage_unavailable: "Nothing was changed. The quota itself does not need the database. This page looks again every few seconds.",
  quota_unavailable:
    "Neither the ledger nor its last snapshot can be read. Nothing is sent to the provider meanwhile. This page looks again every few seconds.",
  internal_error: "The request id finds it in the log.",
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
          To the quota
        </a>
      </p>
    </section>
  );
}

/** Spans of quota decisions and provider requests. They name callers by class, and the project in its own attribute. */
import type { Answer, CallReport } from "../providers/isbndb/index.ts";
import { PROJECT_CALLER_PREFIX } from "../quota/types.ts";
import type { CommitAnswer, ProviderCount, ReleaseAnswer, ReserveAnswer, Spender } from "../quota/types.ts";
import type { Spending, Watch } from "../quota/index.ts";
import type { Attributes, Span, Trace } from "../telemetry/index.ts";

/** "project" for every project, so that a dashboard has one group per class of callers. */
export function spenderAttributes({ caller, priority }: Spender): Attributes {
  const isProject = caller.startsWith(PROJECT_CALLER_PREFIX);
  return {
    "quota.caller": isProject ? "project" : caller,
    "quota.priority": priority,
    "project.id": isProject ? caller.slice(PROJECT_CALLER_PREFIX.length) : null,
  };
}

function decision(answer: ReserveAnswer): Attributes {
  switch (answer.result) {
    case "granted": {
      const { calls, startAt, decidedAt } = answer.reservation;
      return { "quota.decision": "granted", "quota.calls_granted": calls, "quota.wait_ms": Math.max(0, startAt - decidedAt) };
    }
    case "refused":
      return {
        "quota.decision": "refused",
        "quota.refused_by": answer.refusal.refusedBy,
        "quota.calls_available": answer.refusal.available,
      };
    case "conflict":
    case "impossible":
      return { "quota.decision": answer.result };
  }
}

/** `quota.reserve`. */
export async function traceReservation<Reserved extends { readonly answer: ReserveAnswer }>(
  trace: Trace,
  { cost, ...spender }: Spending,
  work: () => Promise<Reserved>,
): Promise<Reserved> {
  const costAttributes = "calls" in cost ? { "quota.calls": cost.calls } : { "quota.batch_of": cost.batchOf };
  return trace.span("quota.reserve", { ...spenderAttributes(spender), ...costAttributes }, async (span) => {
    const turn = await work();
    span.set(decision(turn.answer));
    return turn;
  });
}

/** `quota.settle`: a commit or release of a reservation by its holder. */
export async function traceSettlement<Settled extends CommitAnswer | ReleaseAnswer>(
  trace: Trace,
  work: () => Promise<Settled>,
): Promise<Settled> {
  return trace.span("quota.settle", {}, async (span) => {
    const answer = await work();
    span.set({
      "quota.result": answer.result,
      "quota.charged": answer.result === "committed" ? answer.charged : answer.result === "released" ? 0 : null,
    });
    return answer;
  });
}

/** Spans of the quota work for one provider call. They are children of the call's span. */
export function traceCall(call: Trace, spending: Spending): Watch {
  return {
    reserve: async (work) => traceReservation(call, spending, work),
    settle: async (work) =>
      call.span("quota.settle", {}, async (span) => {
        const settled = await work();
        span.set({ "quota.charged": settled.charged });
        return settled;
      }),
    count: async (work) =>
      call.span(
        "isbndb.request",
        { "isbndb.endpoint": "key", "http.request.method": "GET", "isbndb.charged": false },
        async (span) => {
          const count: ProviderCount = await work();
          span.set({ "isbndb.outcome": count.kind });
          if (count.kind === "failed") span.fail(count.kind);
          return count;
        },
        "client",
      ),
  };
}

/** Meanings that are not errors. The others stop a caller. */
const SUCCESSFUL: ReadonlySet<string> = new Set(["ok", "not_found", "never_sent"]);

function setReport(span: Span, { endpoint, outcome, status }: CallReport): void {
  span.set({
    "isbndb.endpoint": endpoint,
    "isbndb.outcome": outcome.meaning,
    "isbndb.charged": outcome.sent !== "no",
    "http.request.method": endpoint === "books" ? "POST" : "GET",
    "http.response.status_code": status,
  });
  if (!SUCCESSFUL.has(outcome.meaning)) span.fail(outcome.meaning, outcome.detail);
}

/** `isbndb.request`: one request to the provider. Omits the address, which names the search, and the headers, which contain the API key. */
export async function traceRequest<Value>(trace: Trace, send: () => Promise<Answer<Value>>): Promise<Answer<Value>> {
  return trace.span(
    "isbndb.request",
    {},
    async (span) => {
      const answer = await send();
      setReport(span, answer.report);
      return answer;
    },
    "client",
  );
}

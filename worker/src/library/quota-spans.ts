/** What the quota decides and the provider answers, as spans. Callers stand in them as a class; whose project it was stands beside. */
import type { Answer, CallReport } from "../providers/isbndb/index.ts";
import { PROJECT_CALLER_PREFIX } from "../quota/types.ts";
import type { CommitAnswer, ProviderCount, ReleaseAnswer, ReserveAnswer, Spender } from "../quota/types.ts";
import type { Spending, Watch } from "../quota/index.ts";
import type { Attributes, Span, Trace } from "../telemetry/index.ts";

/** "project" for every project, so that a dashboard has as many groups as there are kinds of callers. */
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
export async function reserving<Asked extends { readonly answer: ReserveAnswer }>(
  trace: Trace,
  { cost, ...spender }: Spending,
  ask: () => Promise<Asked>,
): Promise<Asked> {
  const asked = "calls" in cost ? { "quota.calls": cost.calls } : { "quota.batch_of": cost.batchOf };
  return trace.span("quota.reserve", { ...spenderAttributes(spender), ...asked }, async (span) => {
    const turn = await ask();
    span.set(decision(turn.answer));
    return turn;
  });
}

/** `quota.settle`, of a reservation that its holder commits or releases. */
export async function settling<Settled extends CommitAnswer | ReleaseAnswer>(trace: Trace, ask: () => Promise<Settled>): Promise<Settled> {
  return trace.span("quota.settle", {}, async (span) => {
    const answer = await ask();
    span.set({
      "quota.result": answer.result,
      "quota.charged": answer.result === "committed" ? answer.charged : answer.result === "released" ? 0 : null,
    });
    return answer;
  });
}

/** The same around one provider call: what is asked for it hangs below it. */
export function watching(call: Trace, spending: Spending): Watch {
  return {
    reserve: async (ask) => reserving(call, spending, ask),
    settle: async (ask) =>
      call.span("quota.settle", {}, async (span) => {
        const settled = await ask();
        span.set({ "quota.charged": settled.charged });
        return settled;
      }),
    count: async (ask) =>
      call.span(
        "isbndb.request",
        { "isbndb.endpoint": "key", "http.request.method": "GET", "isbndb.charged": false },
        async (span) => {
          const count: ProviderCount = await ask();
          span.set({ "isbndb.outcome": count.kind });
          if (count.kind === "failed") span.fail(count.kind);
          return count;
        },
        "client",
      ),
  };
}

/** What an answer without an error may mean. The others stop a caller, and are errors of the request. */
const WELL: ReadonlySet<string> = new Set(["ok", "not_found", "never_sent"]);

function tell(span: Span, { endpoint, outcome, status }: CallReport): void {
  span.set({
    "isbndb.endpoint": endpoint,
    "isbndb.outcome": outcome.meaning,
    "isbndb.charged": outcome.sent !== "no",
    "http.request.method": endpoint === "books" ? "POST" : "GET",
    "http.response.status_code": status,
  });
  if (!WELL.has(outcome.meaning)) span.fail(outcome.meaning, outcome.detail);
}

/** `isbndb.request`: one request to the provider. Neither its address nor its headers are told: one names what was looked for, one our key. */
export async function requesting<Value>(trace: Trace, send: () => Promise<Answer<Value>>): Promise<Answer<Value>> {
  return trace.span(
    "isbndb.request",
    {},
    async (span) => {
      const answer = await send();
      tell(span, answer.report);
      return answer;
    },
    "client",
  );
}

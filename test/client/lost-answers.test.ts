/** The client against a coordinator whose answers are dropped, delayed, refused and repeated at every point. */
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { PaceExceeded, QuotaClient, QuotaExhausted, QuotaUnavailable, notSent } from "../../client/index.js";
import { CoordinatorModel } from "./coordinator-model.ts";

const SLOWEST_ANSWER_MS = 60_000;
const RUNS = process.env["SOAK"] === undefined ? 500 : 10_000;

/** The fate of one request. `late`: processed, and answered after the client has given up. */
const fate = fc.constantFrom<Fate>(
  "answered",
  "answered",
  "answered",
  "dropped",
  "answer dropped",
  "late",
  "slow",
  "busy",
  "broken",
  "twice",
);
type Fate = "answered" | "dropped" | "answer dropped" | "late" | "slow" | "busy" | "broken" | "twice";

const work = fc.record({
  calls: fc.integer({ min: 1, max: 5 }),
  unused: fc.integer({ min: 0, max: 5 }),
  ending: fc.constantFrom<"returned" | "thrown" | "not sent">("returned", "returned", "thrown", "not sent"),
  takesMs: fc.integer({ min: 0, max: 5_000 }),
  beginsMs: fc.integer({ min: 0, max: 2_000 }),
  ttlSeconds: fc.constantFrom(1, 2, 3, 90),
});

function networkOf(model: CoordinatorModel, fates: readonly Fate[]): typeof fetch {
  let at = 0;
  return async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const answer = (): Response =>
      model.answer(
        init.method ?? "GET",
        url,
        typeof init.body === "string" ? init.body : null,
        new Headers(init.headers).get("authorization"),
      );
    const chosen = fates[at] ?? "answered";
    at += 1;
    switch (chosen) {
      case "answered":
        return answer();
      case "dropped":
        throw new TypeError("fetch failed");
      case "answer dropped":
        answer();
        throw new TypeError("fetch failed");
      case "busy":
        return Response.json({ code: "quota_unavailable", detail: "No answer." }, { status: 503, headers: { "retry-after": "1" } });
      case "broken":
        return new Response("upstream connect error", { status: 502 });
      case "twice":
        answer();
        return answer();
      case "slow": {
        await pause(3_000, init.signal);
        return answer();
      }
      case "late": {
        const processed = answer();
        await pause(60_000, init.signal);
        return processed;
      }
    }
  };
}

async function pause(milliseconds: number, signal?: AbortSignal | null): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
  });
}

describe("a client whose answers get lost", () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: 1_767_100_000_000 });
    // AbortSignal.timeout knows no simulated time.
    vi.spyOn(AbortSignal, "timeout").mockImplementation((milliseconds) => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new DOMException("The operation timed out.", "TimeoutError")), milliseconds);
      return controller.signal;
    });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    vi.useRealTimers();
  });

  it("charges exactly the sent calls, sends in turn and within the limit, and leaves no reservation open", async () => {
    const property = fc.asyncProperty(
      fc.array(work, { minLength: 1, maxLength: 6 }),
      fc.array(fate, { maxLength: 24 }),
      fc.record({
        limit: fc.integer({ min: 1, max: 20 }),
        spacingMs: fc.integer({ min: 0, max: 2_000 }),
        maxAheadMs: fc.integer({ min: 0, max: 5_000 }),
        skewMs: fc.integer({ min: -3_600_000, max: 3_600_000 }),
      }),
      async (works, fates, limits) => {
        const model = new CoordinatorModel(limits);
        const client = new QuotaClient({
          url: "http://coordinator.test",
          key: "qc_test",
          fetch: networkOf(model, fates),
          maxWaitMs: 20_000,
        });
        const sent: { id: string; at: number; used: number; counted: boolean }[] = [];
        const running = works.map(async ({ calls, unused, ending, takesMs, beginsMs, ttlSeconds }) => {
          await pause(beginsMs);
          return client
            .withQuota({ calls, ttlSeconds }, async (grant) => {
              grant.used = Math.max(0, grant.calls - unused);
              sent.push({ id: grant.id, at: model.now(), used: grant.used, counted: ending !== "not sent" });
              await pause(takesMs);
              if (ending === "not sent") throw notSent(new Error("not sent"));
              if (ending === "thrown") {
                grant.used = grant.calls;
                throw new Error("thrown");
              }
              return grant.id;
            })
            .then(
              () => "returned",
              (error: unknown) => error,
            );
        });
        const settled = Promise.all(running);
        await vi.advanceTimersByTimeAsync(600_000);
        const outcomes = await settled;
        const { charged, held } = model.totals();
        expect(model.wrong).toEqual([]);
        expect(held).toBe(0);
        expect(charged).toBeLessThanOrEqual(limits.limit);
        for (const { id, at, used, counted } of sent) {
          const reservation = model.reservations.get(id);
          expect(reservation).toBeDefined();
          if (!reservation) continue;
          // The request was sent within its reservation, by the coordinator's clock.
          expect(at).toBeGreaterThanOrEqual(reservation.startAt);
          expect(at).toBeLessThan(reservation.expiresAt);
          expect(reservation.charged).toBeGreaterThanOrEqual(counted ? Math.min(used, reservation.calls) : 0);
        }
        const spent = new Set(sent.filter(({ counted }) => counted).map(({ id }) => id));
        // A reservation that ended before its answer arrived is charged. The client could not return it.
        for (const [id, { state, charged: cost, startAt, expiresAt }] of model.reservations) {
          const short = state === "expired" && expiresAt - startAt < SLOWEST_ANSWER_MS;
          expect({ id, cost: spent.has(id) || short ? 0 : cost }).toEqual({ id, cost: 0 });
        }
        for (const outcome of outcomes) {
          const known =
            outcome === "returned" ||
            outcome instanceof PaceExceeded ||
            outcome instanceof QuotaExhausted ||
            outcome instanceof QuotaUnavailable;
          expect(known ? "" : String(outcome)).toMatch(/^(?:Error: (?:thrown|not sent))?$/u);
        }
      },
    );
    await fc.assert(property, { numRuns: RUNS, seed: 24, ...(process.env["SOAK"] === undefined ? {} : { seed: Date.now() }) });
  });
});

/** Whole requests of the product: batches that the catalogue knows, a project's admission, usage events, and what a harvest costs. */
import { inTurns, ratio, timed } from "../measure.ts";
import type { Bench, Contender, Measure, Outcome } from "../measure.ts";
import { AS_ADMIN, ask, isbns, newProject, work } from "../product.ts";

const WARM_UP_SECONDS = 0.3;
const UNBOUNDED = 1_000_000_000;
const BOOKS = 1_000;
/** As many events as one report may hold. */
const FULL_REPORT = 1_000;

const BATCH = "/api/enrich/batch-direct";

/** The median time of one request on one connection, in milliseconds; or with more of them, requests a second. */
function requested(bench: Bench, name: string, url: string, headers: Record<string, string>, body: unknown, connections = 1): Contender {
  return {
    name,
    run: async (round) => {
      const load = { name: `${name}-${round}`, url, method: "POST", headers, body: JSON.stringify(body), connections, requests: UNBOUNDED };
      await bench.load.run({ ...load, seconds: WARM_UP_SECONDS });
      const { p50Ms, requests, seconds, statuses } = await bench.load.run({ ...load, seconds: bench.scale.seconds });
      if ((statuses["200"] ?? 0) !== requests) throw new Error(`${name}: answered ${JSON.stringify(statuses)}`);
      return connections === 1 ? p50Ms : requests / seconds;
    },
  };
}

export const batch: Measure = {
  name: "batch",
  about: "batch-direct where the catalogue knows every ISBN: one, and 1,000",
  run: async (bench) => {
    bench.tell("batch, cached");
    const known = isbns(0, BOOKS);
    await ask(bench.workerd, "POST", BATCH, { isbns: known });
    const url = `${bench.workerd.url("product")}${BATCH}`;
    const series = await inTurns(bench.scale.rounds, "ms", [
      requested(bench, "1 ISBN", url, AS_ADMIN, { isbns: known.slice(0, 1) }),
      requested(bench, "1,000 ISBNs", url, AS_ADMIN, { isbns: known }),
    ]);
    return [{ title: "batch-direct, fully cached", series, ratios: ratio(series, "1,000 ISBNs", "1 ISBN", { most: 3 }) }];
  },
};

export const admission: Measure = {
  name: "admission",
  about: "a project's request with its admission, with a bare SELECT 1 in its place, and without any",
  run: async (bench) => {
    const { workerd, scale } = bench;
    bench.tell("admission");
    const { id, key } = await newProject(workerd);
    const caps = { function_invocations_per_day: null };
    await ask(workerd, "PUT", `/api/projects/${id}/caps`, caps);
    const body = { isbns: isbns(0, 1) };
    await ask(workerd, "POST", BATCH, body);
    const asProject = { authorization: `Bearer ${key}` };
    const outcomes: Outcome[] = [];
    for (const connections of [1, 16]) {
      const ours = `${workerd.url("product")}${BATCH}`;
      const series = await inTurns(scale.rounds, connections === 1 ? "ms" : "req/s", [
        requested(bench, "admitted", ours, asProject, body, connections),
        requested(bench, "bare SELECT 1", `${workerd.url("bare")}${BATCH}`, asProject, body, connections),
        requested(bench, "the work alone", ours, AS_ADMIN, body, connections),
      ]);
      const ratios =
        connections === 1
          ? ratio(series, "bare SELECT 1", "admitted", { least: 0.8 })
          : ratio(series, "admitted", "bare SELECT 1", { least: 0.8 });
      outcomes.push({ title: `a project's cached batch of one, ${connections} at a time`, series, ratios });
    }
    return outcomes;
  },
};

export const events: Measure = {
  name: "events",
  about: "usage events in reports of 1,000, beside one insert an event",
  run: async (bench) => {
    const { workerd, scale } = bench;
    bench.tell("events");
    await work(workerd, "/seed/projects", 1_000);
    const report = (run: string) =>
      Array.from({ length: scale.events }, (_, index) => ({
        id: `${run}-${index}`,
        project_id: `p-${String((index % 1_000) + 1).padStart(7, "0")}`,
        type: "storage_uploads_per_day",
        source: "storage",
      }));
    const rate = (milliseconds: number): number => (scale.events * 1_000) / milliseconds;
    await ask(workerd, "POST", "/api/usage/events", { events: report("warm-up") });
    const series = await inTurns(scale.rounds, "per second", [
      {
        name: "ours",
        run: async (round) => {
          const events = report(`round-${round}`);
          return rate(await timed(async () => ask(workerd, "POST", "/api/usage/events", { events })));
        },
      },
      {
        name: "one insert an event",
        run: async (round) => rate(await timed(async () => work(workerd, "/loop/events", scale.events, `loop-${round}`))),
      },
    ]);
    return [
      {
        title: "usage events, counted",
        series,
        ratios: ratio(series, "ours", "one insert an event", scale.events === FULL_REPORT ? { least: 20 } : undefined),
      },
    ];
  },
};

interface Answer {
  readonly api_calls: number;
  readonly found: number;
}

const SAMPLE = 20;

function callsFor1000(answers: readonly Answer[]): number {
  const sum = (pick: (answer: Answer) => number): number => answers.reduce((all, each) => all + pick(each), 0);
  return (sum(({ api_calls }) => api_calls) * BOOKS) / sum(({ found }) => found);
}

/** Counted, not timed: the same on every machine. */
export const harvest: Measure = {
  name: "harvest",
  about: "provider calls for 1,000 books that the catalogue does not know",
  run: async (bench) => {
    const { workerd, scale } = bench;
    bench.tell("harvest");
    const series = await inTurns(scale.rounds, "calls", [
      {
        name: "batches of 1,000",
        run: async (round) => {
          return callsFor1000([await ask(workerd, "POST", BATCH, { isbns: isbns(10_000 + round * BOOKS, BOOKS) })]);
        },
      },
      {
        name: "one by one",
        run: async (round) => {
          const single: Answer[] = [];
          for (const isbn of isbns(500_000 + round * SAMPLE, SAMPLE)) single.push(await ask(workerd, "POST", BATCH, { isbns: [isbn] }));
          return callsFor1000(single);
        },
      },
    ]);
    return [{ title: "provider calls for 1,000 books", series, ratios: [] }];
  },
};

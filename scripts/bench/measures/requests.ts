/** Measures requests of the product: cached batches, admission of projects, usage events and the calls of a harvest. */
import { inTurns, ratio, timed } from "../measure.ts";
import type { Bench, Contender, Measure, Outcome } from "../measure.ts";
import { AS_ADMIN, isbns, newProject, send, work } from "../product.ts";

const WARM_UP_SECONDS = 0.3;
const UNBOUNDED = 1_000_000_000;
const BOOKS = 1_000;
/** Maximum number of events in one report. */
const FULL_REPORT = 1_000;

const BATCH = "/api/enrich/batch-direct";

/** Median milliseconds per request on one connection, or requests per second on several. */
function requestLoad(bench: Bench, name: string, url: string, headers: Record<string, string>, body: unknown, connections = 1): Contender {
  return {
    name,
    run: async (round) => {
      const load = { name: `${name}-${round}`, url, method: "POST", headers, body: JSON.stringify(body), connections, requests: UNBOUNDED };
      await bench.load.run({ ...load, seconds: WARM_UP_SECONDS });
      const { p50Ms, requests, seconds, statuses } = await bench.load.run({ ...load, seconds: bench.scale.seconds });
      if ((statuses["200"] ?? 0) !== requests) throw new Error(`${name}: statuses ${JSON.stringify(statuses)}`);
      return connections === 1 ? p50Ms : requests / seconds;
    },
  };
}

export const batch: Measure = {
  name: "batch",
  about: "cached batch-direct with 1 and 1,000 ISBNs",
  run: async (bench) => {
    bench.report("batch, cached");
    const known = isbns(0, BOOKS);
    await send(bench.workerd, "POST", BATCH, { isbns: known });
    const url = `${bench.workerd.url("product")}${BATCH}`;
    const series = await inTurns(bench.scale.rounds, "ms", [
      requestLoad(bench, "1 ISBN", url, AS_ADMIN, { isbns: known.slice(0, 1) }),
      requestLoad(bench, "1,000 ISBNs", url, AS_ADMIN, { isbns: known }),
    ]);
    return [{ title: "batch-direct, fully cached", series, ratios: ratio(series, "1,000 ISBNs", "1 ISBN", { most: 3 }) }];
  },
};

export const admission: Measure = {
  name: "admission",
  about: "request of a project with admission, with a bare SELECT 1 and without both",
  run: async (bench) => {
    const { workerd, scale } = bench;
    bench.report("admission");
    const { id, key } = await newProject(workerd);
    const caps = { function_invocations_per_day: null };
    await send(workerd, "PUT", `/api/projects/${id}/caps`, caps);
    const body = { isbns: isbns(0, 1) };
    await send(workerd, "POST", BATCH, body);
    const asProject = { authorization: `Bearer ${key}` };
    const outcomes: Outcome[] = [];
    for (const connections of [1, 16]) {
      const ours = `${workerd.url("product")}${BATCH}`;
      const series = await inTurns(scale.rounds, connections === 1 ? "ms" : "req/s", [
        requestLoad(bench, "admitted", ours, asProject, body, connections),
        requestLoad(bench, "bare SELECT 1", `${workerd.url("bare")}${BATCH}`, asProject, body, connections),
        requestLoad(bench, "without admission", ours, AS_ADMIN, body, connections),
      ]);
      const ratios =
        connections === 1
          ? ratio(series, "bare SELECT 1", "admitted", { least: 0.8 })
          : ratio(series, "admitted", "bare SELECT 1", { least: 0.8 });
      outcomes.push({ title: `cached batch of a project, 1 ISBN, ${connections} concurrent`, series, ratios });
    }
    return outcomes;
  },
};

export const events: Measure = {
  name: "events",
  about: "usage events in reports of 1,000, compared with one insert per event",
  run: async (bench) => {
    const { workerd, scale } = bench;
    bench.report("events");
    await work(workerd, "/seed/projects", 1_000);
    const report = (run: string) =>
      Array.from({ length: scale.events }, (_, index) => ({
        id: `${run}-${index}`,
        project_id: `p-${String((index % 1_000) + 1).padStart(7, "0")}`,
        type: "storage_uploads_per_day",
        source: "storage",
      }));
    const rate = (milliseconds: number): number => (scale.events * 1_000) / milliseconds;
    await send(workerd, "POST", "/api/usage/events", { events: report("warm-up") });
    const series = await inTurns(scale.rounds, "per second", [
      {
        name: "ours",
        run: async (round) => {
          const events = report(`round-${round}`);
          return rate(await timed(async () => send(workerd, "POST", "/api/usage/events", { events })));
        },
      },
      {
        name: "one insert per event",
        run: async (round) => rate(await timed(async () => work(workerd, "/loop/events", scale.events, `loop-${round}`))),
      },
    ]);
    return [
      {
        title: "usage events, counted",
        series,
        ratios: ratio(series, "ours", "one insert per event", scale.events === FULL_REPORT ? { least: 20 } : undefined),
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

/** Counts calls, so that the result does not depend on the machine. */
export const harvest: Measure = {
  name: "harvest",
  about: "provider calls per 1,000 books found, for books outside the catalog",
  run: async (bench) => {
    const { workerd, scale } = bench;
    bench.report("harvest");
    const series = await inTurns(scale.rounds, "calls", [
      {
        name: "batches of 1,000",
        run: async (round) => {
          return callsFor1000([await send(workerd, "POST", BATCH, { isbns: isbns(10_000 + round * BOOKS, BOOKS) })]);
        },
      },
      {
        name: "one by one",
        run: async (round) => {
          const answers: Answer[] = [];
          for (const isbn of isbns(500_000 + round * SAMPLE, SAMPLE)) answers.push(await send(workerd, "POST", BATCH, { isbns: [isbn] }));
          return callsFor1000(answers);
        },
      },
    ]);
    return [{ title: "provider calls per 1,000 books found", series, ratios: [] }];
  },
};

/** Measures grants, refusals and status requests over HTTP, and the exactness of each contender. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Load, LoadResult } from "../load-process.ts";
import { inTurns, ratio } from "../measure.ts";
import type { Bench, Contender, Measure, Outcome } from "../measure.ts";
import { AS_ADMIN, RESERVATION_SECONDS, send } from "../product.ts";
import { DAILY_LIMIT } from "../workerd.ts";

const WARM_UP_SECONDS = 0.3;
const UNBOUNDED = 1_000_000_000;
/** Limit and number of requests of the overshoot measure. */
const SMALL_LIMIT = 300;
const REQUESTS = 1_000;

const EMPTY = "empty route";
const OURS = "ours";
const OBJECT = "one-statement object";
const COUNTER = "one statement in our Worker";
const SILENT = "ours, without its log line";
const LIMITER = "hono-rate-limiter, object";

type Target = Pick<Load, "url" | "method" | "headers" | "body">;

const reserving = (url: string): Target => ({
  url: `${url}/api/quota/reservations`,
  method: "POST",
  headers: AS_ADMIN,
  body: JSON.stringify({ calls: 1, caller: "bench", ttl_seconds: RESERVATION_SECONDS }),
});

/** Requests of each contender. A new key avoids effects of earlier rounds. */
function targets({ workerd, bundles }: Bench, key: string, limit: number): Record<string, Target> {
  const query = `?key=${key}&limit=${limit}`;
  const plain = (url: string): Target => ({ url, method: "POST", headers: {} });
  return {
    [EMPTY]: plain(`${workerd.url("bench")}/empty`),
    [OBJECT]: plain(`${workerd.url("bench")}/object${query}`),
    "KV counter": plain(`${workerd.url("bench")}/kv${query}`),
    ...(bundles.limiter === null
      ? {}
      : {
          [LIMITER]: plain(`${workerd.url("limiter")}/object${query}`),
          "hono-rate-limiter, KV": plain(`${workerd.url("limiter")}/kv${query}`),
        }),
    [OURS]: reserving(workerd.url("product")),
    [SILENT]: reserving(workerd.url("silent")),
    [COUNTER]: reserving(workerd.url("counter")),
  };
}

/** Contender under load after a warm-up. Responses with a different status are noted, but not counted. */
function underLoad(bench: Bench, name: string, targetOf: (round: number) => Target, connections: number, status: number): Contender {
  const others = new Map<string, number>();
  return {
    name,
    run: async (round) => {
      const { seconds } = bench.scale;
      const load = { name: `${name}-${round}`, ...targetOf(round), connections, requests: UNBOUNDED };
      await bench.load.run({ ...load, seconds: WARM_UP_SECONDS });
      const result = await bench.load.run({ ...load, seconds });
      for (const [code, count] of Object.entries(result.statuses)) {
        if (Number(code) !== status) others.set(code, (others.get(code) ?? 0) + count);
      }
      return (result.statuses[status] ?? 0) / result.seconds;
    },
    note: () => (others.size === 0 ? undefined : `also status ${[...others].map(([code, count]) => `${code} ×${count}`).join(", ")}`),
  };
}

async function compare(bench: Bench, kind: "grant" | "refuse"): Promise<Outcome[]> {
  const [limit, status] = kind === "grant" ? [UNBOUNDED, 201] : [0, 429];
  const outcomes: Outcome[] = [];
  for (const connections of bench.scale.connections) {
    bench.report(`${kind}, ${connections} connections`);
    const names = Object.keys(targets(bench, "", limit)).filter((name) => kind === "grant" || (name !== EMPTY && name !== COUNTER));
    const target = (name: string) => (round: number) => {
      const found = targets(bench, `${kind}-${connections}-${round}`, limit)[name];
      if (found === undefined) throw new Error(name);
      return found;
    };
    const contenders = names.map((name) => underLoad(bench, name, target(name), connections, status));
    const series = await inTurns(bench.scale.rounds, "req/s", contenders);
    const ratios =
      kind === "grant"
        ? [
            ...ratio(series, OURS, OBJECT, { least: 0.9 }),
            ...ratio(series, SILENT, OBJECT),
            ...ratio(series, OURS, COUNTER, { least: 0.9 }),
            ...ratio(series, OURS, LIMITER, { least: 1.2 }),
          ]
        : [...ratio(series, OURS, OBJECT), ...ratio(series, OURS, LIMITER, { least: 3 }), ...ratio(series, SILENT, LIMITER)];
    outcomes.push({ title: `${kind}, ${connections} ${connections === 1 ? "connection" : "connections"}`, series, ratios });
  }
  return outcomes;
}

export const grant: Measure = {
  name: "grant",
  about: "one call reserved, over HTTP",
  run: async (bench) => {
    await send(bench.workerd, "PUT", "/api/quota/usage", { used: 0 });
    return compare(bench, "grant");
  },
};

export const refuse: Measure = {
  name: "refuse",
  about: "one call refused, with the daily limit used up",
  run: async (bench) => {
    await send(bench.workerd, "PUT", "/api/quota/usage", { used: DAILY_LIMIT });
    return compare(bench, "refuse");
  },
};

export const overshoot: Measure = {
  name: "overshoot",
  about: `grants above a limit of ${SMALL_LIMIT} with ${REQUESTS} requests on 64 connections`,
  run: async (bench) => {
    bench.report("overshoot");
    const names = Object.keys(targets(bench, "", SMALL_LIMIT)).filter((name) => ![EMPTY, SILENT, COUNTER].includes(name));
    const contenders = names.map((name): Contender => ({
      name,
      run: async (round) => {
        if (name === OURS) await send(bench.workerd, "POST", "/api/quota/reset");
        const reserved = name === OURS ? (await send<{ reserved: number }>(bench.workerd, "GET", "/api/quota/status")).reserved : 0;
        if (name === OURS)
          await send(bench.workerd, "PUT", "/api/quota/settings", { daily_limit: reserved + SMALL_LIMIT, safety_buffer: 0 });
        const target = targets(bench, `overshoot-${round}`, SMALL_LIMIT)[name];
        if (target === undefined) throw new Error(name);
        const load = { name: `overshoot-${round}`, ...target, connections: 64, seconds: 60, requests: REQUESTS };
        const { statuses }: LoadResult = await bench.load.run(load);
        return (statuses["201"] ?? 0) - SMALL_LIMIT;
      },
    }));
    return [{ title: "overshoot", series: await inTurns(bench.scale.rounds, "grants over", contenders), ratios: [] }];
  },
};

export const status: Measure = {
  name: "status",
  about: "status from the ledger and from the snapshot",
  run: async (bench) => {
    bench.report("status");
    const base = `${bench.workerd.url("product")}/api/quota/status`;
    // Both status requests read the ledger until it has published its first snapshot.
    await send(bench.workerd, "PUT", "/api/quota/usage", { used: 1 });
    await sleep(PUBLISHED_WITHIN_MS);
    const reading = (url: string): Target => ({ url, method: "GET", headers: {} });
    const { [OBJECT]: object } = targets(bench, "status", UNBOUNDED);
    if (object === undefined) throw new Error(OBJECT);
    const series = await inTurns(bench.scale.rounds, "req/s", [
      underLoad(bench, OBJECT, () => object, 16, 201),
      underLoad(bench, "ours, from the ledger", () => reading(base), 16, 200),
      underLoad(bench, "ours, as published", () => reading(`${base}?fresh=false`), 16, 200),
    ]);
    return [{ title: "status, 16 connections", series, ratios: [] }];
  },
};

const PUBLISHED_WITHIN_MS = 6_000;

/** Granting and refusing over HTTP, how exact each contender is, and reading the state. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Load, LoadResult } from "../load-process.ts";
import { inTurns, ratio } from "../measure.ts";
import type { Bench, Contender, Measure, Outcome } from "../measure.ts";
import { AS_ADMIN, HELD_SECONDS, ask } from "../product.ts";
import { DAILY_LIMIT } from "../workerd.ts";

const WARM_UP_SECONDS = 0.3;
const UNBOUNDED = 1_000_000_000;
/** What each may grant where it is seen who grants too much, and how many ask at once. */
const SMALL_LIMIT = 300;
const ASKED = 1_000;

const EMPTY = "empty route";
const OURS = "ours";
const OBJECT = "one-statement object";
const COUNTER = "one statement behind our door";
const SILENT = "ours, without its log line";
const LIMITER = "hono-rate-limiter, object";

type Target = Pick<Load, "url" | "method" | "headers" | "body">;

const reserving = (url: string): Target => ({
  url: `${url}/api/quota/reservations`,
  method: "POST",
  headers: AS_ADMIN,
  body: JSON.stringify({ calls: 1, caller: "bench", ttl_seconds: HELD_SECONDS }),
});

/** A key of each contender's own, so that nothing of an earlier round is met. */
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

/** After a warm-up. Answers of another status are told of, not counted. */
function loaded(bench: Bench, name: string, targetOf: (round: number) => Target, connections: number, status: number): Contender {
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
    note: () => (others.size === 0 ? undefined : `also answered ${[...others].map(([code, count]) => `${code} ×${count}`).join(", ")}`),
  };
}

async function compare(bench: Bench, what: "grant" | "refuse"): Promise<Outcome[]> {
  const [limit, status] = what === "grant" ? [UNBOUNDED, 201] : [0, 429];
  const outcomes: Outcome[] = [];
  for (const connections of bench.scale.connections) {
    bench.tell(`${what}, ${connections} connections`);
    const names = Object.keys(targets(bench, "", limit)).filter((name) => what === "grant" || (name !== EMPTY && name !== COUNTER));
    const target = (name: string) => (round: number) => {
      const found = targets(bench, `${what}-${connections}-${round}`, limit)[name];
      if (found === undefined) throw new Error(name);
      return found;
    };
    const contenders = names.map((name) => loaded(bench, name, target(name), connections, status));
    const series = await inTurns(bench.scale.rounds, "req/s", contenders);
    const ratios =
      what === "grant"
        ? [
            ...ratio(series, OURS, OBJECT, { least: 0.9 }),
            ...ratio(series, SILENT, OBJECT),
            ...ratio(series, OURS, COUNTER, { least: 0.9 }),
            ...ratio(series, OURS, LIMITER, { least: 1.2 }),
          ]
        : [...ratio(series, OURS, OBJECT), ...ratio(series, OURS, LIMITER, { least: 3 }), ...ratio(series, SILENT, LIMITER)];
    outcomes.push({ title: `${what}, ${connections} ${connections === 1 ? "connection" : "connections"}`, series, ratios });
  }
  return outcomes;
}

export const grant: Measure = {
  name: "grant",
  about: "one call reserved, over HTTP",
  run: async (bench) => {
    await ask(bench.workerd, "PUT", "/api/quota/usage", { used: 0 });
    return compare(bench, "grant");
  },
};

export const refuse: Measure = {
  name: "refuse",
  about: "one call refused, the day being over",
  run: async (bench) => {
    await ask(bench.workerd, "PUT", "/api/quota/usage", { used: DAILY_LIMIT });
    return compare(bench, "refuse");
  },
};

export const overshoot: Measure = {
  name: "overshoot",
  about: `grants beyond a limit of ${SMALL_LIMIT} where ${ASKED} ask at 64 connections`,
  run: async (bench) => {
    bench.tell("overshoot");
    const names = Object.keys(targets(bench, "", SMALL_LIMIT)).filter((name) => ![EMPTY, SILENT, COUNTER].includes(name));
    const contenders = names.map((name): Contender => ({
      name,
      run: async (round) => {
        if (name === OURS) await ask(bench.workerd, "POST", "/api/quota/reset");
        const held = name === OURS ? (await ask<{ reserved: number }>(bench.workerd, "GET", "/api/quota/status")).reserved : 0;
        if (name === OURS) await ask(bench.workerd, "PUT", "/api/quota/settings", { daily_limit: held + SMALL_LIMIT, safety_buffer: 0 });
        const target = targets(bench, `overshoot-${round}`, SMALL_LIMIT)[name];
        if (target === undefined) throw new Error(name);
        const load = { name: `overshoot-${round}`, ...target, connections: 64, seconds: 60, requests: ASKED };
        const { statuses }: LoadResult = await bench.load.run(load);
        return (statuses["201"] ?? 0) - SMALL_LIMIT;
      },
    }));
    return [{ title: "overshoot", series: await inTurns(bench.scale.rounds, "grants over", contenders), ratios: [] }];
  },
};

export const status: Measure = {
  name: "status",
  about: "reading the state: from the ledger, and as last published",
  run: async (bench) => {
    bench.tell("status");
    const base = `${bench.workerd.url("product")}/api/quota/status`;
    // Until the ledger has published once, the other reads the ledger too.
    await ask(bench.workerd, "PUT", "/api/quota/usage", { used: 1 });
    await sleep(PUBLISHED_WITHIN_MS);
    const reading = (url: string): Target => ({ url, method: "GET", headers: {} });
    const { [OBJECT]: object } = targets(bench, "status", UNBOUNDED);
    if (object === undefined) throw new Error(OBJECT);
    const series = await inTurns(bench.scale.rounds, "req/s", [
      loaded(bench, OBJECT, () => object, 16, 201),
      loaded(bench, "ours, from the ledger", () => reading(base), 16, 200),
      loaded(bench, "ours, as published", () => reading(`${base}?fresh=false`), 16, 200),
    ]);
    return [{ title: "status, 16 connections", series, ratios: [] }];
  },
};

const PUBLISHED_WITHIN_MS = 6_000;

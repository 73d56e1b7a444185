/** Measures bundle size, cold start and memory, each in a separate workerd. */
import { gzipSync } from "node:zlib";
import type { Load } from "../load-process.ts";
import { inTurns } from "../measure.ts";
import type { Bench, Contender, Measure } from "../measure.ts";
import { AS_ADMIN, RESERVATION_SECONDS } from "../product.ts";
import { startWorkerd } from "../workerd.ts";

const KIB = 1_024;
const GRANTS = 20_000;

/** Time to the first response, including the start of workerd. The empty Worker shows its share. */
const coldStart = (bench: Bench, name: string, worker: "product" | "bench", path: string): Contender => ({
  name,
  run: async () => {
    const began = performance.now();
    const workerd = await startWorkerd({ [worker]: bench.bundles[worker] }, { migrated: false });
    const response = await fetch(`${workerd.url(worker)}${path}`, { method: worker === "bench" ? "POST" : "GET" });
    await response.arrayBuffer();
    const milliseconds = performance.now() - began;
    await workerd.stop();
    return milliseconds;
  },
});

export const start: Measure = {
  name: "start",
  about: "bundle size and time to the first response",
  run: async (bench) => {
    bench.report("cold start");
    const { product } = bench.bundles;
    const size = [
      { contender: "bundle", unit: "KiB" as const, rounds: [Buffer.byteLength(product) / KIB] },
      { contender: "bundle, gzip", unit: "KiB" as const, rounds: [gzipSync(product).length / KIB] },
    ];
    const contenders = [
      coldStart(bench, "workerd and an empty Worker", "bench", "/empty"),
      coldStart(bench, "workerd and ours", "product", "/"),
    ];
    return [{ title: "cold start", series: [...size, ...(await inTurns(bench.scale.rounds, "ms", contenders))], ratios: [] }];
  },
};

export const memory: Measure = {
  name: "memory",
  about: `resident memory of workerd with the product, before and after ${GRANTS.toLocaleString("en-US")} grants`,
  run: async (bench) => {
    bench.report("memory");
    const requests = bench.scale.seconds < 1 ? GRANTS / 20 : GRANTS;
    const workerd = await startWorkerd({ product: bench.bundles.product });
    const load: Load = {
      name: "memory",
      url: `${workerd.url("product")}/api/quota/reservations`,
      method: "POST",
      headers: AS_ADMIN,
      body: JSON.stringify({ calls: 1, caller: "bench", ttl_seconds: RESERVATION_SECONDS }),
      connections: 16,
      seconds: 120,
      requests: 100,
    };
    await bench.load.run(load);
    const first = workerd.memoryMb();
    await bench.load.run({ ...load, requests });
    const last = workerd.memoryMb();
    await workerd.stop();
    const series = [
      { contender: "after 100 grants", unit: "MB" as const, rounds: [first] },
      { contender: `after ${requests.toLocaleString("en-US")} more`, unit: "MB" as const, rounds: [last] },
    ];
    return [{ title: "memory", series, ratios: [] }];
  },
};

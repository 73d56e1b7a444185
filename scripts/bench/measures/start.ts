/** How large the product is, how fast it begins, and what it holds in memory: each in a workerd of its own. */
import { gzipSync } from "node:zlib";
import type { Load } from "../load-process.ts";
import { inTurns } from "../measure.ts";
import type { Bench, Contender, Measure } from "../measure.ts";
import { AS_ADMIN, HELD_SECONDS } from "../product.ts";
import { startWorkerd } from "../workerd.ts";

const KIB = 1_024;
const GRANTS = 20_000;

/** From nothing to the first answer, workerd's own start included: the empty Worker's shows how much that is. */
const cold = (bench: Bench, name: string, worker: "product" | "bench", path: string): Contender => ({
  name,
  run: async () => {
    const began = performance.now();
    const workerd = await startWorkerd({ [worker]: bench.bundles[worker] }, { migrated: false });
    const response = await fetch(`${workerd.url(worker)}${path}`, { method: worker === "bench" ? "POST" : "GET" });
    await response.arrayBuffer();
    const taken = performance.now() - began;
    await workerd.stop();
    return taken;
  },
});

export const start: Measure = {
  name: "start",
  about: "bundle size, and the time from nothing to the first answer",
  run: async (bench) => {
    bench.tell("cold start");
    const { product } = bench.bundles;
    const size = [
      { contender: "bundle", unit: "KiB" as const, rounds: [Buffer.byteLength(product) / KIB] },
      { contender: "bundle, gzip", unit: "KiB" as const, rounds: [gzipSync(product).length / KIB] },
    ];
    const contenders = [cold(bench, "workerd and an empty Worker", "bench", "/empty"), cold(bench, "workerd and ours", "product", "/")];
    return [{ title: "cold start", series: [...size, ...(await inTurns(bench.scale.rounds, "ms", contenders))], ratios: [] }];
  },
};

export const memory: Measure = {
  name: "memory",
  about: `resident memory of workerd with ours alone: at first, and after ${GRANTS.toLocaleString("en-US")} grants`,
  run: async (bench) => {
    bench.tell("memory");
    const requests = bench.scale.seconds < 1 ? GRANTS / 20 : GRANTS;
    const workerd = await startWorkerd({ product: bench.bundles.product });
    const load: Load = {
      name: "memory",
      url: `${workerd.url("product")}/api/quota/reservations`,
      method: "POST",
      headers: AS_ADMIN,
      body: JSON.stringify({ calls: 1, caller: "bench", ttl_seconds: HELD_SECONDS }),
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

/** A run: builds what there is to compare, gives each measure a fresh workerd, and ends all it began. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { buildAll } from "./bundles.ts";
import type { Bundles } from "./bundles.ts";
import { installLimiter } from "./limiter.ts";
import { LoadProcess } from "./load-process.ts";
import type { Measure, Outcome } from "./measure.ts";
import type { Options } from "./options.ts";
import { tableOf } from "./table.ts";
import { startWorkerd } from "./workerd.ts";

/** What the figures were taken on. */
const machine = () => ({
  cores: availableParallelism(),
  processor: cpus()[0]?.model ?? "unknown",
  node: process.version,
  load_before: loadavg()[0] ?? 0,
});

function limiterModules(folder: string | null): string | null {
  if (folder === null) return null;
  const found = installLimiter(folder);
  if ("modules" in found) return found.modules;
  console.log(`  Skipped: ${found.missing}.`);
  return null;
}

/** Throws where a measure fails: a table with a hole in it would be read as if it were whole. */
export async function runBench({ measures, scale, json, limiter }: Options): Promise<void> {
  const began = machine();
  console.log(`\n  ${began.cores} cores, ${began.processor}, load ${began.load_before.toFixed(1)}; Node ${began.node}`);
  console.log(`  ${scale.rounds} rounds in rotated order: median, and from the least to the most\n`);
  const folder = mkdtempSync(join(tmpdir(), "quota-coordinator-bench-"));
  // An exit runs what ends workerd and takes the folder away; a signal by itself would not.
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
  const load = new LoadProcess();
  const found: { measure: string; outcomes: readonly Outcome[] }[] = [];
  try {
    const bundles = await buildAll(folder, limiterModules(limiter));
    for (const measure of measures) {
      const outcomes = await measured(measure, { bundles, load, scale });
      found.push({ measure: measure.name, outcomes });
      for (const outcome of outcomes) console.log(tableOf(outcome));
    }
  } finally {
    load.stop();
  }
  if (json !== null) writeFileSync(json, `${JSON.stringify({ ...began, scale, measures: found }, null, 2)}\n`);
}

interface Tools {
  readonly bundles: Bundles;
  readonly load: LoadProcess;
  readonly scale: Options["scale"];
}

async function measured(measure: Measure, tools: Tools): Promise<readonly Outcome[]> {
  const tell = (text: string): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${text === "" ? "" : `  ${text} …`}`);
  };
  const workerd = await startWorkerd(tools.bundles, { inspected: measure.inspected ?? false });
  try {
    return await measure.run({ ...tools, workerd, tell });
  } finally {
    tell("");
    await workerd.stop();
  }
}

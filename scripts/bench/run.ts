/** Runs the benchmark: builds the contenders, starts a new workerd for each measure and cleans up. */
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

/** Machine of the run. */
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

/** Throws if a measure fails, so that no incomplete table is printed. */
export async function runBench({ measures, scale, json, limiter }: Options): Promise<void> {
  const began = machine();
  console.log(`\n  ${began.cores} cores, ${began.processor}, load ${began.load_before.toFixed(1)}, Node ${began.node}`);
  console.log(`  ${scale.rounds} rounds in rotated order, as median and range\n`);
  const folder = mkdtempSync(join(tmpdir(), "quota-coordinator-bench-"));
  // The exit handlers stop workerd and remove the folder. Signals alone do not run them.
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  process.once("SIGINT", () => process.exit(130));
  process.once("SIGTERM", () => process.exit(143));
  const load = new LoadProcess();
  const results: { measure: string; outcomes: readonly Outcome[] }[] = [];
  try {
    const bundles = await buildAll(folder, limiterModules(limiter));
    for (const measure of measures) {
      const outcomes = await runMeasure(measure, { bundles, load, scale });
      results.push({ measure: measure.name, outcomes });
      for (const outcome of outcomes) console.log(tableOf(outcome));
    }
  } finally {
    load.stop();
  }
  if (json !== null) writeFileSync(json, `${JSON.stringify({ ...began, scale, measures: results }, null, 2)}\n`);
}

interface Tools {
  readonly bundles: Bundles;
  readonly load: LoadProcess;
  readonly scale: Options["scale"];
}

async function runMeasure(measure: Measure, tools: Tools): Promise<readonly Outcome[]> {
  const report = (text: string): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${text === "" ? "" : `  ${text} …`}`);
  };
  const workerd = await startWorkerd(tools.bundles, { inspected: measure.inspected ?? false });
  try {
    return await measure.run({ ...tools, workerd, report });
  } finally {
    report("");
    await workerd.stop();
  }
}

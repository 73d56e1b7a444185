import { expect } from "vitest";
import { isbnNumber } from "../../../support/worker.ts";
import { cronHarvest } from "../cells/cron-harvest.ts";
import { repair } from "../harness.ts";
import type { JobFlow, JobWorld } from "../harness.ts";
import { catalogRowsOf } from "../rows.ts";
import { jobResult } from "../words.ts";

const HALF_HOURLY = "*/30 * * * *";
const HALF_AN_HOUR_MS = 30 * 60_000;

async function runTick(world: JobWorld): Promise<string> {
  if (!(await world.tick(HALF_HOURLY))) return "tick not acknowledged";
  const job = (await world.jobs("harvest")).at(-1);
  const { run } = JSON.parse(job?.result ?? "{}") as { run?: { targets: number; found: number; stopped: string } | null };
  const counted = run ? [`${run.targets} target`, `${run.found} found`, run.stopped].filter((text) => !text.startsWith("0 ")) : [];
  return counted.length === 0 ? jobResult(job) : `${jobResult(job)}: ${counted.join(", ")}`;
}

export const cronHarvestFlow: JobFlow = {
  table: cronHarvest,
  spends: true,
  covered: ["d1: SELECT", "ledger: "],
  arrange: async (n, { send }) => {
    await catalogRowsOf("DELETE FROM harvest_targets");
    await send("POST", "/api/harvest/targets", { isbns: [isbnNumber(n)] });
  },
  use: async (_, world) => runTick(world),
  later: async (_, world) => {
    world.time.reach(Date.now() + HALF_AN_HOUR_MS);
    return (await runTick(world)) + (await repair(world));
  },
  check: async (n) => {
    const [target] = await catalogRowsOf("SELECT state FROM harvest_targets WHERE target_key = ?", isbnNumber(n));
    expect(target).toEqual({ state: "done" });
    expect(await catalogRowsOf("SELECT count(*) AS n FROM harvest_runs WHERE stopped IS NULL")).toEqual([{ n: 0 }]);
  },
};

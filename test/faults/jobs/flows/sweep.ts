import { expect } from "vitest";
import { post } from "../../../support/worker.ts";
import { sweep } from "../cells/sweep.ts";
import { repair } from "../harness.ts";
import type { JobFlow, JobWorld } from "../harness.ts";
import { countOf, rowsOf } from "../rows.ts";
import { readyProject } from "../projects.ts";
import { jobResult } from "../words.ts";

const HOURLY = "0 * * * *";

const sweepResult = async ({ jobs }: JobWorld, nth: number): Promise<string> =>
  jobResult((await jobs("check_usage_limits"))[nth], { projects_suspended: "suspended", warnings_sent: "warned" });

export const sweepFlow: JobFlow = {
  table: sweep,
  prepare: async () => void (await post("/api/organizations", { id: "org", name: "org" })),
  arrange: async (n) => {
    await rowsOf("UPDATE projects SET lifecycle = 'ARCHIVED'");
    await readyProject(`over-${n}`, 100);
    await readyProject(`near-${n}`, 85);
  },
  covered: ["step page 2"],
  use: async (_, world) => ((await world.tick(HOURLY)) ? sweepResult(world, 0) : "tick not acknowledged"),
  later: async (_, world) => {
    world.time.reach(Date.now() + 60 * 60_000);
    await world.tick(HOURLY);
    const next = sweepResult(world, (await world.jobs("check_usage_limits")).length - 1);
    return (await next) + (await repair(world));
  },
  check: async (n) => {
    const [over, near] = [`over-${n}`, `near-${n}`];
    expect(await rowsOf("SELECT reason FROM suspensions WHERE project_id = ?", over)).toEqual([{ reason: "quota:db_queries_per_day" }]);
    expect(await countOf("SELECT count(*) FROM suspensions WHERE project_id = ?", near)).toBe(0);
    expect(await rowsOf("SELECT type, project_id FROM events WHERE project_id IN (?, ?) ORDER BY type", over, near)).toEqual([
      { type: "project.suspended", project_id: over },
      { type: "quota.warning", project_id: near },
    ]);
    expect(await rowsOf("SELECT threshold FROM threshold_notices WHERE project_id = ?", near)).toEqual([{ threshold: 80 }]);
  },
};

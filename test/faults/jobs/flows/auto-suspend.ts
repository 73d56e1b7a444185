import { expect } from "vitest";
import { autoSuspend } from "../cells/auto-suspend.ts";
import { repair } from "../harness.ts";
import type { JobFlow, JobWorld } from "../harness.ts";
import { countOf, rowsOf } from "../rows.ts";
import { makeOrganization, readyProject } from "../projects.ts";
import { jobResult } from "../words.ts";

const METRICS = {
  requests_per_minute: 5_000,
  baseline_requests_per_minute: 100,
  requests: 25_000,
  windows: 2,
  baseline_hours: 48,
  baseline_days: 5,
};

async function result(n: number, { jobs }: JobWorld): Promise<string> {
  const isSuspended = (await countOf("SELECT count(*) FROM suspensions WHERE project_id = ?", `shop-${n}`)) > 0;
  return `${jobResult((await jobs("auto_suspend")).at(-1))}, ${isSuspended ? "" : "not "}suspended`;
}

export const autoSuspendFlow: JobFlow = {
  table: autoSuspend,
  covered: ["d1: SELECT", "operators_told_at = ?2"],
  prepare: makeOrganization,
  arrange: async (n) => readyProject(`shop-${n}`),
  use: async (n, world) => {
    const payload = { project_id: `shop-${n}`, pattern_type: "EXCESSIVE_USAGE", metrics: METRICS };
    await world.send("POST", "/api/jobs", { type: "auto_suspend", payload });
    await world.settled();
    return result(n, world);
  },
  later: async (n, world) => {
    const failed = (await world.jobs("auto_suspend")).find(({ status }) => status === "failed");
    if (failed) await world.send("POST", `/api/jobs/${failed.id}/retry`);
    await world.settled();
    const repairs = await repair(world);
    return `${failed ? "retried: " : ""}${await result(n, world)}${repairs}`;
  },
  check: async (n, _, cell) => {
    // A project is not suspended without measurements.
    if (cell?.fault === "nonsense" && cell.target.at === "FROM project_minutes") return;
    expect(await rowsOf("SELECT reason FROM suspensions WHERE project_id = ?", `shop-${n}`)).toEqual([{ reason: "abuse:EXCESSIVE_USAGE" }]);
    expect(await rowsOf("SELECT type, count(*) AS n FROM events WHERE project_id = ? GROUP BY type ORDER BY type", `shop-${n}`)).toEqual([
      { type: "abuse.detected", n: 1 },
      { type: "project.suspended", n: 1 },
    ]);
  },
};

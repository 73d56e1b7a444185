import { expect } from "vitest";
import { autoSuspend } from "../cells/auto-suspend.ts";
import { repaired } from "../harness.ts";
import type { JobFlow, JobWorld } from "../harness.ts";
import { countOf, rowsOf } from "../raw.ts";
import { makeOrganization, readyProject } from "../projects.ts";
import { endOf } from "../words.ts";

const METRICS = {
  requests_per_minute: 5_000,
  baseline_requests_per_minute: 100,
  requests: 25_000,
  windows: 2,
  baseline_hours: 48,
  baseline_days: 5,
};

async function told(n: number, { jobs }: JobWorld): Promise<string> {
  const isSuspended = (await countOf("SELECT count(*) FROM suspensions WHERE project_id = ?", `shop-${n}`)) > 0;
  return `${endOf((await jobs("auto_suspend")).at(-1))}: ${isSuspended ? "" : "not "}suspended`;
}

export const autoSuspendFlow: JobFlow = {
  table: autoSuspend,
  elsewhere: ["d1: SELECT", "operators_told_at = ?2"],
  prepare: makeOrganization,
  arrange: async (n) => readyProject(`shop-${n}`),
  use: async (n, world) => {
    const payload = { project_id: `shop-${n}`, pattern_type: "EXCESSIVE_USAGE", metrics: METRICS };
    await world.ask("POST", "/api/jobs", { type: "auto_suspend", payload });
    await world.settled();
    return told(n, world);
  },
  later: async (n, world) => {
    const failed = (await world.jobs("auto_suspend")).find(({ status }) => status === "failed");
    if (failed) await world.ask("POST", `/api/jobs/${failed.id}/retry`);
    await world.settled();
    const repairs = await repaired(world);
    return `${failed ? "retried: " : ""}${await told(n, world)}${repairs}`;
  },
  check: async (n, _, cell) => {
    // Nobody is suspended for what could not be measured.
    if (cell?.fault === "nonsense" && cell.target.at === "FROM project_minutes") return;
    expect(await rowsOf("SELECT reason FROM suspensions WHERE project_id = ?", `shop-${n}`)).toEqual([{ reason: "abuse:EXCESSIVE_USAGE" }]);
    expect(await rowsOf("SELECT type, count(*) AS n FROM events WHERE project_id = ? GROUP BY type ORDER BY type", `shop-${n}`)).toEqual([
      { type: "abuse.detected", n: 1 },
      { type: "project.suspended", n: 1 },
    ]);
  },
};

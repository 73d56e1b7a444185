import { expect } from "vitest";
import { reset } from "../cells/reset.ts";
import { repair } from "../harness.ts";
import type { JobFlow, JobWorld } from "../harness.ts";
import { rowsOf } from "../rows.ts";
import { jobResult } from "../words.ts";

const DAILY = "0 0 * * *";
const DAY_MS = 86_400_000;

const lastReset = async ({ jobs }: JobWorld): Promise<string> => jobResult((await jobs("reset_quotas")).at(-1), { rows_updated: "closed" });

export const resetFlow: JobFlow = {
  table: reset,
  arrange: async (n) => {
    const [anchor, end] = [Date.now() - 40 * DAY_MS, Date.now() - 3_600_000];
    // No other period ends on this day.
    await rowsOf("DELETE FROM billing_periods");
    await rowsOf("DELETE FROM organizations");
    await rowsOf(
      "INSERT INTO organizations (id, name, billing_anchor, changed_by, created_at, updated_at) VALUES (?1, 'Org', ?2, 'test', ?2, ?2)",
      `org-${n}`,
      end,
    );
    await rowsOf(
      "INSERT INTO billing_periods (organization_id, period_index, starts_at, ends_at) VALUES (?, -1, ?, ?)",
      `org-${n}`,
      anchor,
      end,
    );
  },
  use: async (_, world) => ((await world.tick(DAILY)) ? lastReset(world) : "tick not acknowledged"),
  later: async (_, world) => {
    world.time.reach(Date.now() + DAY_MS);
    await world.tick(DAILY);
    return (await lastReset(world)) + (await repair(world));
  },
  check: async (n) => {
    const closed = await rowsOf("SELECT period_index FROM billing_periods WHERE organization_id = ? AND closed_at IS NOT NULL", `org-${n}`);
    expect(closed).toEqual([{ period_index: -1 }]);
  },
};

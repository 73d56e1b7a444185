import { expect } from "vitest";
import { housekeeping } from "../cells/housekeeping.ts";
import { repaired } from "../harness.ts";
import type { JobFlow, JobWorld } from "../harness.ts";
import { countOf, rowsOf } from "../raw.ts";
import { makeOrganization, readyProject } from "../projects.ts";
import { telegram } from "../telegram.ts";
import { endOf } from "../words.ts";

const bot = telegram();
const MINUTE_MS = 60_000;

const leftBehind = (n: number): string => `reset_quotas-${String(n).padStart(40, "0")}`;

async function ran(n: number, world: JobWorld): Promise<string> {
  await world.ask("POST", "/api/jobs", { type: "housekeeping", payload: { provider_count: true } });
  await world.settled();
  const [job] = await rowsOf<{ status: string }>("SELECT status FROM jobs WHERE id = ?", leftBehind(n));
  const messages = bot.messages.filter((text) => text.includes(`shop-${n}`)).length;
  const told = messages === 1 ? "once" : `${messages} times`;
  const is = job?.status === "completed" ? "job ended" : `job ${job?.status ?? "gone"}`;
  return `${endOf((await world.jobs("housekeeping")).at(-1))}; ${is}; told ${told}`;
}

export const housekeepingFlow: JobFlow = {
  table: housekeeping,
  others: { "telegram.test": { part: "telegram", answer: bot.answer } },
  elsewhere: ["d1: ", "workflows: step", "workflows: deleteBatch", "ledger: "],
  prepare: makeOrganization,
  arrange: async (n) => {
    await readyProject(`shop-${n}`);
    const before = Date.now() - 5 * MINUTE_MS;
    await rowsOf(
      `INSERT INTO jobs (id, type, status, payload, requested_by, root_id, run, max_tries, created_at, updated_at)
      VALUES (?1, 'reset_quotas', 'queued', '{}', 'admin', ?1, 1, 4, ?2, ?2)`,
      leftBehind(n),
      before,
    );
    await rowsOf(
      `INSERT INTO events (id, type, project_id, data, created_at, dispatched_at)
      VALUES (?1, 'abuse.detected', ?2, json_object('project_id', ?2), ?3, ?3)`,
      `abuse ${n}`,
      `shop-${n}`,
      before,
    );
  },
  use: ran,
  later: async (n, world) => {
    world.time.reach(Date.now() + 5 * MINUTE_MS);
    return (await ran(n, world)) + (await repaired(world));
  },
  check: async (n) => {
    expect(await countOf("SELECT count(*) FROM jobs WHERE id = ? AND status = 'completed'", leftBehind(n))).toBe(1);
    expect(await countOf("SELECT count(*) FROM events WHERE operators_told_at IS NULL AND type = 'abuse.detected'")).toBe(0);
  },
};

import { expect } from "vitest";
import { housekeeping } from "../cells/housekeeping.ts";
import { repair } from "../harness.ts";
import type { JobFlow, JobWorld } from "../harness.ts";
import { countOf, rowsOf } from "../rows.ts";
import { makeOrganization, readyProject } from "../projects.ts";
import { telegram } from "../telegram.ts";
import { jobResult, messages } from "../words.ts";

const bot = telegram();
const MINUTE_MS = 60_000;

const stalledJobId = (n: number): string => `reset_quotas-${String(n).padStart(40, "0")}`;

async function runHousekeeping(n: number, world: JobWorld): Promise<string> {
  await world.send("POST", "/api/jobs", { type: "housekeeping", payload: { provider_count: true } });
  await world.settled();
  const [job] = await rowsOf<{ status: string }>("SELECT status FROM jobs WHERE id = ?", stalledJobId(n));
  const count = bot.messages.filter((text) => text.includes(`shop-${n}`)).length;
  const state = job?.status === "completed" ? "job done" : `job ${job?.status ?? "gone"}`;
  return `${jobResult((await world.jobs("housekeeping")).at(-1))}, ${state}, ${messages(count)}`;
}

export const housekeepingFlow: JobFlow = {
  table: housekeeping,
  otherHosts: { "telegram.test": { part: "telegram", answer: bot.answer } },
  covered: ["d1: ", "workflows: step", "workflows: deleteBatch", "ledger: "],
  prepare: makeOrganization,
  arrange: async (n) => {
    await readyProject(`shop-${n}`);
    const before = Date.now() - 5 * MINUTE_MS;
    await rowsOf(
      `INSERT INTO jobs (id, type, status, payload, requested_by, root_id, run, max_tries, created_at, updated_at)
      VALUES (?1, 'reset_quotas', 'queued', '{}', 'admin', ?1, 1, 4, ?2, ?2)`,
      stalledJobId(n),
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
  use: runHousekeeping,
  later: async (n, world) => {
    world.time.reach(Date.now() + 5 * MINUTE_MS);
    return (await runHousekeeping(n, world)) + (await repair(world));
  },
  check: async (n) => {
    expect(await countOf("SELECT count(*) FROM jobs WHERE id = ? AND status = 'completed'", stalledJobId(n))).toBe(1);
    expect(await countOf("SELECT count(*) FROM events WHERE operators_told_at IS NULL AND type = 'abuse.detected'")).toBe(0);
  },
};

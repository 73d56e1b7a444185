import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { backup } from "../cells/backup.ts";
import { repair } from "../harness.ts";
import type { JobFlow, JobWorld } from "../harness.ts";
import { countOf, rowsOf } from "../rows.ts";
import { databaseOf, fillDatabase, makeOrganization, readyProject } from "../projects.ts";
import { telegram } from "../telegram.ts";
import { jobResult, messages } from "../words.ts";

const bot = telegram();

interface Backup {
  readonly status: string;
  readonly copies: "sent" | "failed" | null;
}

/** State of the latest backup. */
async function latestBackup(n: number): Promise<string> {
  const sql = "SELECT status, copies FROM backups WHERE project_id = ? ORDER BY created_at DESC LIMIT 1";
  const [latest] = await rowsOf<Backup>(sql, `shop-${n}`);
  const copies = { sent: ", copied", failed: ", not copied" };
  if (latest === undefined) return "no backup";
  const state = latest.status === "running" ? "backup running" : latest.status;
  return `${state}${latest.copies === null ? "" : copies[latest.copies]}`;
}

/** The job's result and the backup's state, or only one of them if they agree. */
function combined(job: string, backup: string): string {
  if (job.startsWith("failed") && backup === "failed") return job;
  return job === "completed" && backup.startsWith("verified") ? backup : `${job}, ${backup}`;
}

async function requestBackup(n: number, world: JobWorld): Promise<void> {
  await world.send("POST", "/api/jobs", { type: "export_backup", payload: { project_id: `shop-${n}` } });
  await world.settled();
}

export const backupFlow: JobFlow = {
  table: backup,
  otherHosts: { "telegram.test": { part: "telegram", answer: bot.answer } },
  covered: ["d1: ", "tenant: ", "workflows: step", "r2: list"],
  prepare: makeOrganization,
  arrange: async (n) => {
    await readyProject(`shop-${n}`);
    await fillDatabase(`shop-${n}`);
  },
  use: async (n, world) => {
    await requestBackup(n, world);
    const count = bot.messages.filter((text) => text.includes(`shop-${n} `)).length;
    const job = jobResult((await world.jobs("export_backup")).at(-1));
    return `${combined(job, await latestBackup(n))}, ${messages(count)}`;
  },
  later: async (n, world) => {
    const repairs = await repair(world, 15);
    const isVerified = (await countOf("SELECT count(*) FROM backups WHERE project_id = ? AND status = 'verified'", `shop-${n}`)) > 0;
    if (isVerified) return `verified${repairs}`;
    await requestBackup(n, world);
    return `second: ${await latestBackup(n)}${repairs}`;
  },
  check: async (n) => {
    const [row] = await rowsOf("SELECT id, project_id FROM backups WHERE project_id = ? AND status = 'verified'", `shop-${n}`);
    const { objects } = await env.BACKUPS.list({ prefix: `shop-${n}/` });
    expect(objects.map(({ key }) => key.split("/").slice(1))).toEqual([
      [row?.["id"], expect.stringMatching(/^\d$/u), "000001.sql.gz"],
      [row?.["id"], "manifest.v2.json"],
    ]);
    expect(await databaseOf(`shop-${n}`).state()).toMatchObject({ frozen: null, importing: null });
    for (const { job_id } of await rowsOf("SELECT job_id FROM backups WHERE project_id = ?", `shop-${n}`)) {
      expect((await databaseOf(`scratch:${String(job_id)}`).state()).createdAt).toBeNull();
    }
    expect(await countOf("SELECT count(*) FROM events WHERE project_id = ? AND type = 'backup.completed'", `shop-${n}`)).toBe(1);
  },
};

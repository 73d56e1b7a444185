import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { backup } from "../cells/backup.ts";
import { repaired } from "../harness.ts";
import type { JobFlow, JobWorld } from "../harness.ts";
import { countOf, rowsOf } from "../raw.ts";
import { databaseOf, fillDatabase, makeOrganization, readyProject } from "../projects.ts";
import { telegram } from "../telegram.ts";
import { endOf } from "../words.ts";

const bot = telegram();

interface Backup {
  readonly status: string;
  readonly copies: "sent" | "failed" | null;
}

const times = (count: number): string => (count === 1 ? "once" : `${count} times`);

/** The latest backup. */
async function standing(n: number): Promise<string> {
  const sql = "SELECT status, copies FROM backups WHERE project_id = ? ORDER BY created_at DESC LIMIT 1";
  const [latest] = await rowsOf<Backup>(sql, `shop-${n}`);
  const copies = { sent: ", copied", failed: ", not copied" };
  return latest === undefined ? "no backup" : `${latest.status}${latest.copies === null ? "" : copies[latest.copies]}`;
}

async function ask(n: number, world: JobWorld): Promise<void> {
  await world.ask("POST", "/api/jobs", { type: "export_backup", payload: { project_id: `shop-${n}` } });
  await world.settled();
}

export const backupFlow: JobFlow = {
  table: backup,
  others: { "telegram.test": { part: "telegram", answer: bot.answer } },
  elsewhere: ["d1: ", "tenant: ", "workflows: step", "r2: list"],
  prepare: makeOrganization,
  arrange: async (n) => {
    await readyProject(`shop-${n}`);
    await fillDatabase(`shop-${n}`);
  },
  use: async (n, world) => {
    await ask(n, world);
    const messages = bot.messages.filter((text) => text.includes(`shop-${n} `)).length;
    return `${endOf((await world.jobs("export_backup")).at(-1))}; ${await standing(n)}; told ${times(messages)}`;
  },
  later: async (n, world) => {
    const repairs = await repaired(world, 15);
    const isVerified = (await countOf("SELECT count(*) FROM backups WHERE project_id = ? AND status = 'verified'", `shop-${n}`)) > 0;
    if (isVerified) return `verified${repairs}`;
    await ask(n, world);
    return `another: ${await standing(n)}${repairs}`;
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

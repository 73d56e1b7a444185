import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createDeps } from "../../../worker/src/deps.ts";
import type { Deps } from "../../../worker/src/deps.ts";
import { removeExpiredBackups } from "../../../worker/src/tenants/backups/retention.ts";
import { ended, until } from "../../jobs/support.ts";
import { AFTERNOON, call, freshStart, post } from "../../support/worker.ts";
import { ask as queried, objectOf, run } from "../../tenant-database/support.ts";
import { makeOrganization, makeProject, rows } from "../../support/tenants/http.ts";
import { backUp, interceptSteps, objects, readBackup, start, eventsOf, withBucket } from "./support.ts";

const NOW = Date.parse(AFTERNOON);
const DAY_MS = 24 * 60 * 60 * 1_000;
const deps = (): Deps => createDeps(env, () => Date.now());
const sweep = async (with_ = deps()) => removeExpiredBackups(with_);

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  await makeProject("shop");
});
afterEach(() => void vi.restoreAllMocks());

/** Adds a backup with one part and one object. */
async function add(id: string, more: { status?: string; type?: string; at?: number; project?: string } = {}): Promise<void> {
  const { status = "verified", type = "full", at = NOW, project = "shop" } = more;
  const sql = `INSERT INTO backups (id, project_id, export_type, status, job_id, requested_by, changed_by, created_at, ended_at, updated_at)
    VALUES (?1, ?2, ?3, ?4, 'job', 'admin', 'test', ?5, ?5, 0)`;
  const part = "INSERT INTO backup_parts VALUES (?1, 1, 1, 'k', 1, 'h', 1, NULL, 's', 0, '[]')";
  await env.DB.batch([env.DB.prepare(sql).bind(id, project, type, status, at), env.DB.prepare(part).bind(id)]);
  await env.BACKUPS.put(`${project}/${id}/1/000001.sql.gz`, "x");
}
const ids = async (): Promise<unknown[]> => (await rows("SELECT id FROM backups ORDER BY id")).map(({ id }) => id);

describe("housekeeping of backups", () => {
  test("keeps the ten newest verified backups per project and type, at any age, and failed ones for 30 days", async () => {
    for (let n = 10; n < 23; n += 1) await add(`full-${n}`, { at: NOW - 400 * DAY_MS + n });
    await add("schema-1", { type: "schema", at: 1 });
    await add("other-1", { project: "other", at: 1 });
    await add("failed-new", { status: "failed", at: NOW - 29 * DAY_MS });
    await add("failed-old", { status: "failed", at: NOW - 31 * DAY_MS });
    expect(await sweep()).toEqual({ removed: 4, more: false });
    expect(await ids()).toEqual(["failed-new", ...Array.from({ length: 10 }, (_, n) => `full-${13 + n}`), "other-1", "schema-1"]);
    expect((await objects("shop")).length).toBe(12);
    expect(await rows("SELECT count(*) AS n FROM backup_parts")).toEqual([{ n: 13 }]);
    expect(await sweep()).toEqual({ removed: 0, more: false });
  });

  test("keeps a backup that is being restored", async () => {
    for (let n = 10; n < 21; n += 1) await add(`full-${n}`, { at: n });
    const sql = `INSERT INTO restores (project_id, backup_id, source_project_id, status, attempt, job_id, requested_by, changed_by, created_at, updated_at)
      VALUES ('new', 'full-10', 'shop', 'running', 1, 'job', 'admin', 'test', 0, ?)`;
    await env.DB.prepare(sql).bind(NOW).run();
    expect(await sweep()).toEqual({ removed: 0, more: false });
    await env.DB.prepare("UPDATE restores SET status = 'completed'").run();
    expect(await sweep()).toEqual({ removed: 1, more: false });
  });

  test("removes the bytes before the row, and retries if R2 fails", async () => {
    await add("failed-old", { status: "failed", at: 0 });
    const failing = withBucket(deps(), { delete: async () => Promise.reject(new Error("unavailable")) });
    await expect(sweep(failing)).rejects.toMatchObject({ code: "storage_unavailable" });
    expect([await ids(), await rows("SELECT status FROM backups")]).toEqual([["failed-old"], [{ status: "deleting" }]]);
    expect(await sweep()).toEqual({ removed: 1, more: false });
    expect([await ids(), await objects("shop")]).toEqual([[], []]);
  });

  test("runs within the job, once an hour", async () => {
    await add("failed-old", { status: "failed", at: 0 });
    const { body } = await post<{ id: string }>("/api/jobs", { type: "housekeeping", payload: { retention: true } });
    expect((await ended(body.id)).result).toMatchObject({ removed: { backups: 1 } });
  });
});

describe("a backup whose job was cancelled", () => {
  const cancelled = async (): Promise<{ readonly id: string; readonly job_id: string }> => {
    await run("shop", "CREATE TABLE t(x)");
    const { promise: cut, resolve } = Promise.withResolvers<void>();
    interceptSteps(async (step) => (step === "thaw" ? cut : undefined));
    const backup = await start("shop");
    await until(backup.job_id, ({ attempts }) => attempts.some(({ step }) => step === "thaw"));
    await call("POST", `/api/jobs/${backup.job_id}/cancel`);
    vi.restoreAllMocks();
    resolve();
    return backup;
  };

  test("is marked as failed by housekeeping, and its database is released", async () => {
    const { id } = await cancelled();
    expect((await queried("shop", "INSERT INTO t VALUES (1)")).result).toBe("busy");
    await sweep();
    expect(await readBackup("shop", id)).toMatchObject({ status: "failed", error: "Its job ended early: it was cancelled." });
    expect((await queried("shop", "INSERT INTO t VALUES (1)")).result).toBe("rows");
    expect((await eventsOf("shop")).map(({ type }) => type)).toEqual(["backup.failed"]);
    expect([await objects("shop"), (await objectOf("shop").state()).frozen]).toEqual([[], null]);
  });

  test("does not prevent the next backup", async () => {
    const { id } = await cancelled();
    expect((await backUp("shop")).backup.status).toBe("verified");
    expect(await readBackup("shop", id)).toMatchObject({ status: "failed" });
  });
});

import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ask, ended } from "../../jobs/support.ts";
import { call, freshStart, get, post } from "../../support/worker.ts";
import { dump, load, query, run, verify } from "../../tenant-database/support.ts";
import { TRAP_ROWS, TRAP_SCHEMA } from "../../tenant-database/traps.ts";
import { allPages, audit, makeOrganization, makeProject, refusal, remove, right, rows } from "../../support/tenants/http.ts";
import {
  RELEASED,
  backUp,
  download,
  hashOf,
  resourcesOf,
  interceptSteps,
  objects,
  partsOf,
  readBackup,
  start,
  eventsOf,
  unpacked,
} from "./support.ts";
import type { Backup } from "./support.ts";

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  await makeProject("shop");
});
afterEach(() => void vi.restoreAllMocks());

const HEX = expect.stringMatching(/^[0-9a-f]{64}$/u) as string;
const NOW = "2031-05-14T14:03:11Z";

describe("a backup", () => {
  test("of all difficult tables is one file with exactly the dump, and loads as the same content", async () => {
    await makeProject("traps");
    await run("traps", ...TRAP_SCHEMA, ...TRAP_ROWS);
    const dumped = await dump("traps");
    const { backup } = await backUp("traps");
    const file = await download(backup);
    const sql = await unpacked(file.bytes);
    expect(sql).toBe(dumped.sql);
    expect({ bytes: file.bytes.length, sha256: hashOf(file.bytes) }).toEqual({ bytes: backup.stored_bytes, sha256: backup.sha256 });
    await load("copy", "test", [sql]);
    expect((await verify("copy", "test", dumped)).differences).toEqual([]);
  });

  test("describes its contents, is reported once and releases everything", async () => {
    await run("shop", "CREATE TABLE a(x)", "INSERT INTO a VALUES (1), (2)", "CREATE TABLE b(x)");
    const accepted = await post<Backup>("/api/projects/shop/backups", {});
    expect(accepted.status).toBe(202);
    const { id, job_id } = accepted.body;
    expect(accepted.headers.get("location")).toBe(`/api/projects/shop/backups/${id}`);
    expect(job_id).toBe(`export_backup-${id.slice("bak_".length)}`);
    const [job, backup] = [await ended(job_id), await readBackup("shop", id)];
    const key = `shop/${id}/manifest.v2.json`;
    const part = `shop/${id}/1/000001.sql.gz`;
    expect(backup).toEqual({
      id,
      project_id: "shop",
      export_type: "full",
      status: "verified",
      job_id,
      requested_by: "admin",
      taken_at: NOW,
      tables: 2,
      rows: 2,
      schema_version: 0,
      schema_hash: HEX,
      parts: 1,
      sql_bytes: expect.any(Number) as number,
      stored_bytes: expect.any(Number) as number,
      sha256: HEX,
      copies: null,
      error: null,
      created_at: NOW,
      ended_at: NOW,
    });
    expect(job).toMatchObject({ status: "completed", project_id: "shop", result: { backup_id: id } });
    expect(await objects("shop")).toEqual([part, key]);
    expect(await eventsOf("shop")).toEqual([
      {
        type: "backup.completed",
        data: {
          project_id: "shop",
          backup_id: id,
          export_type: "full",
          job_id,
          sha256: backup.sha256,
          stored_bytes: backup.stored_bytes,
          table_count: 2,
          row_count: 2,
        },
      },
    ]);
    expect(await resourcesOf("shop", job_id)).toEqual(RELEASED);
    const manifest = right(await get(`/api/projects/shop/backups/${id}/manifest`));
    expect(manifest).toMatchObject({
      format: "quota-coordinator.backup.v2",
      backup_id: id,
      project_id: "shop",
      taken_at: NOW,
      sha256: backup.sha256,
    });
    expect(manifest["tables"]).toEqual([
      { name: "a", rows: 2, hash: HEX },
      { name: "b", rows: 0, hash: "0".repeat(64) },
    ]);
    expect(manifest["parts"]).toEqual([
      { number: 1, key: part, sha256: backup.sha256, stored_bytes: backup.stored_bytes, sql_bytes: backup["sql_bytes"] },
    ]);
    expect(await audit("subject=" + encodeURIComponent(`backup:${id}`))).toMatchObject([
      { actor: "admin", action: "backup.start", project_id: "shop", before: null, after: { export_type: "full", job_id } },
    ]);
  });

  test("of the schema has no rows, and is verified without rows", async () => {
    await run("shop", ...TRAP_SCHEMA, ...TRAP_ROWS);
    const { backup } = await backUp("shop", { export_type: "schema" });
    expect(backup).toMatchObject({ status: "verified", export_type: "schema", tables: 0, rows: 0 });
    const sql = await unpacked((await download(backup)).bytes);
    expect(sql).not.toMatch(/^(INSERT|DELETE)/mu);
    expect(sql).toContain("CREATE TRIGGER on_order");
  });

  test.each(["an empty database", "no database at all"])("of a project with %s is verified, and is empty", async (what) => {
    if (what === "an empty database") await run("shop", "CREATE TABLE t(x)", "DROP TABLE t");
    const { backup } = await backUp("shop");
    expect(backup).toMatchObject({ status: "verified", tables: 0, rows: 0, parts: 1 });
    expect(await unpacked((await download(backup)).bytes)).toMatch(/^PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n[^;]*;\nCOMMIT;\n$/u);
  });

  test("of an archived project is allowed, of a deleted or unknown project it is refused", async () => {
    right(await remove("/api/projects/shop"));
    expect((await backUp("shop")).backup.status).toBe("verified");
    right(await remove("/api/projects/shop?permanent=true"));
    expect(refusal(await post("/api/projects/shop/backups", {}))).toMatchObject({ status: 409, code: "conflict" });
    expect(refusal(await post("/api/projects/none/backups", {}))).toMatchObject({ status: 404, code: "not_found" });
    const job = await ended((await ask({ type: "export_backup", payload: { project_id: "none" } })).body.id);
    expect(job).toMatchObject({ status: "failed", error: 'not_found: Project "none" not found.' });
  });

  test("can also be started as a job", async () => {
    const { body } = await ask({ type: "export_backup", payload: { project_id: "shop" } });
    const job = await ended(body.id);
    const { backup_id } = job.result as { backup_id: string };
    expect(await readBackup("shop", backup_id)).toMatchObject({ status: "verified", requested_by: `job:${body.id}`, job_id: body.id });
  });
});

describe("while the database is read", () => {
  test("writes get 503 with Retry-After, reads continue, and writes work afterwards", async () => {
    await run("shop", "CREATE TABLE t(x)", "INSERT INTO t VALUES (1)");
    const seen: unknown[] = [];
    const tryWrite = async (): Promise<void> => {
      const write = await query("INSERT INTO t VALUES (2)");
      seen.push([
        write.status,
        write.body.code ?? null,
        write.headers.get("retry-after"),
        (await query("SELECT count(*) FROM t")).body.rows,
      ]);
    };
    interceptSteps(async (step, nth) => (["dump", "compare"].includes(step) && nth === 1 ? tryWrite() : undefined));
    const { backup } = await backUp("shop");
    expect(seen).toEqual([
      [503, "database_busy", "5", [[1]]],
      [200, null, null, [[2]]],
    ]);
    expect(backup).toMatchObject({ status: "verified", rows: 1 });
  });

  test("another backup is refused with the running one's id, and the same key returns the same backup", async () => {
    const answers: unknown[] = [];
    const first = { idempotency_key: "monday" };
    interceptSteps(async (step, nth) => {
      if (step !== "dump" || nth > 1) return;
      const other = await post("/api/projects/shop/backups", { export_type: "schema" });
      answers.push([other.status, other.body["code"], other.body["backup_id"]], (await start("shop", first)).id);
    });
    const { backup } = await backUp("shop", first);
    expect(answers).toEqual([[409, "conflict", backup.id], backup.id]);
    expect(await start("shop", first)).toEqual(backup);
    expect(refusal(await post("/api/projects/shop/backups", { ...first, export_type: "schema" }))).toMatchObject({ status: 409 });
    await makeProject("other");
    expect((await start("other", first)).id).not.toBe(backup.id);
    expect(await partsOf(backup.id)).toEqual([{ moment: 1, number: 1 }]);
  });

  test("ten concurrent requests start one backup, and the other nine get its id", async () => {
    const answers = await Promise.all(
      Array.from({ length: 10 }, async () => post<Backup & { backup_id: string }>("/api/projects/shop/backups", {})),
    );
    const started = answers.filter(({ status }) => status === 202).map(({ body }) => body.id);
    expect(started).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409).map(({ body }) => body.backup_id)).toEqual(
      Array.from({ length: 9 }, () => started[0]),
    );
    expect(await ended((await readBackup("shop", started[0] ?? "")).job_id)).toMatchObject({ status: "completed" });
    expect(await rows("SELECT count(*) AS n FROM audit_log WHERE action = 'backup.start'")).toEqual([{ n: 1 }]);
  });

  test("if its job was never created, the next request with the same key creates it", async () => {
    const { id, job_id } = await start("shop", { idempotency_key: "k" });
    await ended(job_id);
    await env.DB.prepare("UPDATE backups SET status = 'running', sha256 = NULL, ended_at = NULL WHERE id = ?").bind(id).run();
    await env.DB.batch(["job_attempts", "jobs"].map((table) => env.DB.prepare(`DELETE FROM ${table}`)));
    expect((await start("shop", { idempotency_key: "k" })).id).toBe(id);
    expect(await rows("SELECT id FROM jobs")).toEqual([{ id: job_id }]);
  });
});

describe("permissions", () => {
  test("a project's key with the scope admin makes, lists and downloads its own backups, and sees no others", async () => {
    const key = async (id: string): Promise<string> => (await makeProject(id, { key: { scopes: ["admin"] } })).api_key.key;
    const [mine, other] = [await key("mine"), await key("other")];
    const accepted = await post<Backup>("/api/projects/mine/backups", {}, { token: mine });
    await ended(accepted.body.job_id);
    const backup = await readBackup("mine", accepted.body.id);
    expect(backup).toMatchObject({ status: "verified", requested_by: expect.stringMatching(/^key:\w{10}$/u) as string });
    expect((await download(backup, mine)).status).toBe(200);
    for (const path of [
      `mine/backups/${backup.id}`,
      `mine/backups/${backup.id}/download`,
      `other/backups/${backup.id}`,
      `other/backups/${backup.id}/manifest`,
      `other/backups/${backup.id}/download`,
    ]) {
      expect({ path, status: (await get(`/api/projects/${path}`, { token: other })).status }).toEqual({ path, status: 404 });
    }
    expect((await get(`/api/projects/other/backups/${backup.id}`)).status).toBe(404);
    expect((await call("DELETE", `/api/projects/mine/backups/${backup.id}`, undefined, { token: mine })).status).toBe(403);
    expect((await post(`/api/projects/mine/backups/${backup.id}/restore`, { project_id: "new" }, { token: mine })).status).toBe(403);
  });
});

describe("the list", () => {
  test("shows each backup once, newest first, in pages, and can be filtered by status", async () => {
    const sql = `INSERT INTO backups (id, project_id, export_type, status, job_id, requested_by, changed_by, created_at, updated_at)
      VALUES (?1, ?2, 'full', ?3, 'j', 'admin', 'test', ?4, 0)`;
    const add = (id: string, project: string, status: string, at: number) => env.DB.prepare(sql).bind(id, project, status, at);
    await env.DB.batch([
      ...Array.from({ length: 7 }, (_, n) => add(`b${n}`, "shop", n % 2 === 0 ? "verified" : "failed", 1_000 + Math.floor(n / 2))),
      add("gone", "shop", "deleting", 1_000),
      add("foreign", "other", "verified", 1_000),
    ]);
    const { found, pages } = await allPages("/api/projects/shop/backups?limit=3", (body) => body["backups"] as Backup[]);
    expect(found.map(({ id }) => id)).toEqual(["b6", "b5", "b4", "b3", "b2", "b1", "b0"]);
    expect(pages).toBe(3);
    const { backups } = right(await get<{ backups: Backup[] }>("/api/projects/shop/backups?status=failed"));
    expect(backups.map(({ id }) => id)).toEqual(["b5", "b3", "b1"]);
    expect((await get("/api/projects/shop/backups/gone")).status).toBe(404);
    expect((await get("/api/projects/none/backups")).status).toBe(404);
  });
});

describe("deletion", () => {
  test("leaves only the audit entry, and a repetition gets 404", async () => {
    const { backup } = await backUp("shop");
    const address = `/api/projects/shop/backups/${backup.id}`;
    expect(await call("DELETE", address)).toMatchObject({ status: 200, body: { id: backup.id, status: "verified" } });
    expect(await objects("shop")).toEqual([]);
    expect([await rows("SELECT * FROM backups"), await rows("SELECT * FROM backup_parts")]).toEqual([[], []]);
    expect((await call("DELETE", address)).status).toBe(404);
    expect((await audit()).filter(({ action }) => action === "backup.delete")).toMatchObject([
      {
        subject: `backup:${backup.id}`,
        project_id: "shop",
        before: { status: "verified", taken_at: NOW, sha256: backup.sha256 },
        after: null,
      },
    ]);
  });

  test("is refused while the backup is running", async () => {
    const seen: number[] = [];
    interceptSteps(async (step, nth) => {
      if (step !== "dump" || nth > 1) return;
      const { results } = await env.DB.prepare("SELECT id FROM backups").all<{ id: string }>();
      seen.push((await call("DELETE", `/api/projects/shop/backups/${results[0]?.id}`)).status);
    });
    expect((await backUp("shop")).backup.status).toBe("verified");
    expect(seen).toEqual([409]);
  });
});

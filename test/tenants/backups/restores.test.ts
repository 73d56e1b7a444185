import { introspectWorkflow } from "cloudflare:test";
import type { WorkflowIntrospector } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { createDeps } from "../../../worker/src/deps.ts";
import { closeAbandonedRestores } from "../../../worker/src/tenants/backups/restore.ts";
import { ask, ended, pause, until } from "../../jobs/support.ts";
import type { Job } from "../../jobs/support.ts";
import { call, freshStart, get, post, withoutTheirJobs } from "../../support/worker.ts";
import type { Answer } from "../../support/worker.ts";
import { ask as queried, objectOf, run } from "../../tenant-database/support.ts";
import { audit, makeOrganization, makeProject, refusal, right, rows } from "../../support/tenants/http.ts";
import type { MadeProject } from "../../support/tenants/http.ts";
import { backUp, eventsOf, interceptSteps, restoreOf } from "./support.ts";
import type { Backup, Restore, StepHook } from "./support.ts";

/** One backup for all tests. A test that damages it repairs it again. Each restore uses another project. */
let workflows: WorkflowIntrospector;
let backup: Backup;
beforeAll(async () => {
  await freshStart();
  workflows = await introspectWorkflow(env.JOBS);
  await workflows.modifyAll(async (instance) => instance.disableRetryDelays());
  await makeOrganization("org");
  await makeProject("shop");
  await run(
    "shop",
    "CREATE TABLE p(id INTEGER PRIMARY KEY)",
    "CREATE TABLE c(p REFERENCES p(id))",
    "INSERT INTO p VALUES (1)",
    "INSERT INTO c VALUES (1)",
  );
  ({ backup } = await backUp("shop"));
});
// Each test restores all mocks, so these are installed again before each test.
beforeEach(withoutTheirJobs);
afterEach(() => void vi.restoreAllMocks());
afterAll(async () => workflows.dispose());

type Restoring = Partial<MadeProject> & { readonly restore: Restore };
const requestRestore = async (body: Record<string, unknown>, of = backup): Promise<Answer<Restoring>> =>
  post<Restoring>(`/api/projects/shop/backups/${of.id}/restore`, body);

const beforeStep = (hook: StepHook): void => interceptSteps(hook, undefined, "restore_backup");
const afterStep = (hook: StepHook): void => interceptSteps(() => undefined, hook, "restore_backup");

async function restoreInto(project_id: string): Promise<{ readonly job: Job; readonly restore: Restore; readonly created: Restoring }> {
  const created = right(await requestRestore({ project_id }));
  const job = await ended(created.restore.job_id);
  return { job, restore: await restoreOf(project_id), created };
}

describe("a restore", () => {
  test("creates a project with the same content, caps and a working key, and reports it", async () => {
    const { status, headers, body } = await requestRestore({
      project_id: "copy-1",
      name: "As of yesterday",
      caps: { db_queries_per_day: 7 },
    });
    expect([status, headers.get("location")]).toEqual([202, "/api/projects/copy-1/restore"]);
    expect(body.project).toMatchObject({ id: "copy-1", organization_id: "org", name: "As of yesterday", caps: { db_queries_per_day: 7 } });
    const job = await ended(body.restore.job_id);
    expect(job).toMatchObject({ status: "completed", project_id: "copy-1", result: { project_id: "copy-1", backup_id: backup.id } });
    expect(await restoreOf("copy-1")).toEqual({
      project_id: "copy-1",
      backup_id: backup.id,
      source_project_id: "shop",
      status: "completed",
      attempt: 1,
      job_id: job.id,
      requested_by: "admin",
      error: null,
      created_at: "2031-05-14T14:03:11Z",
      ended_at: "2031-05-14T14:03:11Z",
    });
    const answer = await post(
      "/api/projects/copy-1/database/query",
      { sql: "INSERT INTO c VALUES (1) RETURNING (SELECT count(*) FROM c)" },
      { token: body.api_key?.key ?? "" },
    );
    expect(answer).toMatchObject({ status: 200, body: { rows: [[2]] } });
    expect(await eventsOf("copy-1")).toEqual([
      {
        type: "restore.completed",
        data: { project_id: "copy-1", backup_id: backup.id, source_project_id: "shop", job_id: job.id, error: null },
      },
    ]);
    expect(
      (await audit())
        .slice(0, 3)
        .map(({ action, subject }) => `${action} ${subject}`)
        .toSorted(),
    ).toEqual([
      `backup.restore backup:${backup.id}`,
      expect.stringMatching(/^key.create key:/u) as string,
      "project.create project:copy-1",
    ]);
  });

  test("requested twice is one restore, and only the first response has the key", async () => {
    const { created, job } = await restoreInto("copy-2");
    expect(created.api_key).toBeDefined();
    const again = right(await requestRestore({ project_id: "copy-2" }));
    expect(again).toMatchObject({ restore: { status: "completed", job_id: job.id }, project: { id: "copy-2" } });
    expect(again.api_key).toBeUndefined();
    expect(await rows("SELECT id FROM jobs WHERE project_id = ?", "copy-2")).toEqual([{ id: job.id }]);
  });

  test("requested again with other values is refused, also after it has ended, but fields may be omitted", async () => {
    await restoreInto("copy-16");
    right(await call("PATCH", "/api/projects/copy-16", { name: "Renamed since" }));
    const key = { name: "another", mode: "test" };
    const others = [{ name: "Another" }, { organization_id: "org-2" }, { owner_id: "eve" }, { caps: { db_queries_per_day: 1 } }, { key }];
    for (const other of others) {
      const refused = await requestRestore({ project_id: "copy-16", ...other });
      expect({ other, status: refused.status, code: Reflect.get(refused.body, "code") }).toEqual({ other, status: 409, code: "conflict" });
    }
    for (const same of [{}, { organization_id: "org" }, { name: "Project shop" }]) {
      expect(await requestRestore({ project_id: "copy-16", ...same })).toMatchObject({
        status: 202,
        body: { project: { name: "Renamed since" } },
      });
    }
  });

  test.each([0, 2])(
    "by ten concurrent requests, some for an unknown owner (%d), is one restore, and one response has the key",
    async (wrong) => {
      const id = `copy-15-${wrong}`;
      const bodies = Array.from({ length: 10 }, (_, n) => (n % 3 === wrong ? { organization_id: `none-${n}` } : { name: `Copy ${n}` }));
      const answers = await Promise.all(bodies.map(async (more) => requestRestore({ project_id: id, ...more })));
      expect(answers.map(({ status }) => status).filter((status) => ![202, 409, 422].includes(status))).toEqual([]);
      // All ten may have been refused.
      const last = await requestRestore({ project_id: id });
      const made = [...answers, last].filter(({ body }) => body.api_key !== undefined).map(({ body }) => body.project?.["name"]);
      expect(await ended(right(last).restore.job_id)).toMatchObject({ status: "completed" });
      expect(await restoreOf(id)).toMatchObject({ status: "completed" });
      expect(made).toEqual([right(await get(`/api/projects/${id}`))["name"]]);
      expect(await queried(id, "SELECT count(*) FROM c")).toMatchObject({ rows: [[1]] });
    },
  );

  test("into an existing project is refused, also if it is empty, and so is another backup into a restored project", async () => {
    await makeProject("full");
    const taken = { status: 409, code: "conflict" };
    for (const project_id of ["full", "shop"]) expect(refusal(await requestRestore({ project_id }))).toMatchObject(taken);
    expect((await get("/api/projects/full/restore")).status).toBe(404);
    await restoreInto("copy-3");
    const other = (await backUp("shop", { export_type: "schema" })).backup;
    expect(refusal(await requestRestore({ project_id: "copy-3" }, other))).toMatchObject(taken);
    expect(await restoreOf("copy-3")).toMatchObject({ backup_id: backup.id, status: "completed" });
  });

  test("for an organization that cannot own it begins nothing, and the id stays free", async () => {
    expect(refusal(await requestRestore({ project_id: "copy-4", organization_id: "none" }))).toMatchObject({
      status: 422,
      code: "unprocessable",
    });
    expect(await rows("SELECT * FROM restores WHERE project_id = ?", "copy-4")).toEqual([]);
    expect((await restoreInto("copy-4")).restore.status).toBe("completed");
  });

  test("of an unverified backup, of another project's backup or of an unrequested one is refused", async () => {
    const status = async (to: string) => env.DB.prepare("UPDATE backups SET status = ? WHERE id = ?").bind(to, backup.id).run();
    await status("failed");
    expect(refusal(await requestRestore({ project_id: "copy-5" }))).toMatchObject({ status: 409, code: "conflict" });
    await status("verified");
    await makeProject("other");
    expect((await post(`/api/projects/other/backups/${backup.id}/restore`, { project_id: "copy-5" })).status).toBe(404);
    const payload = { project_id: "copy-5", backup_id: backup.id };
    expect(await ended((await ask({ type: "restore_backup", payload })).body.id)).toMatchObject({
      status: "failed",
      error: expect.stringMatching(/^conflict: This restore was never requested/u) as string,
    });
  });
});

describe("until the comparison is recorded", () => {
  test("writes are refused, and the backup cannot be deleted", async () => {
    const seen: unknown[] = [];
    const observe = async (): Promise<void> => {
      const removal = await call("DELETE", `/api/projects/shop/backups/${backup.id}`);
      const write = await queried("copy-6", "INSERT INTO c VALUES (1)");
      seen.push([removal.status, write.result === "busy" ? write.why : write.result]);
    };
    interceptSteps(
      async (step, nth) => ((step === "compare" && nth === 1) || step === "record" ? observe() : undefined),
      async (step, nth) => (step === "compare" && nth === 2 ? observe() : undefined),
      "restore_backup",
    );
    await restoreInto("copy-6");
    expect(seen).toEqual(Array.from({ length: 3 }, () => [409, "frozen"]));
    expect(await queried("copy-6", "INSERT INTO c VALUES (1)")).toMatchObject({ result: "rows" });
  });
});

async function firstPart(): Promise<{ readonly key: string; readonly bytes: ArrayBuffer }> {
  const key = `shop/${backup.id}/1/000001.sql.gz`;
  return { key, bytes: (await (await env.BACKUPS.get(key))?.arrayBuffer()) ?? new ArrayBuffer(0) };
}

describe("a restore that fails", () => {
  test("leaves an empty database and states the reason, and the same request retries it", async () => {
    const { key, bytes } = await firstPart();
    await env.BACKUPS.put(key, "something else");
    const { job, restore } = await restoreInto("copy-7");
    expect(restore).toMatchObject({
      status: "failed",
      error: expect.stringMatching(/^conflict: Part 1 of the backup is damaged/u) as string,
    });
    expect(job.status).toBe("failed");
    expect((await eventsOf("copy-7")).map(({ type }) => type)).toEqual(["restore.failed"]);
    expect(await objectOf("copy-7").state()).toMatchObject({ createdAt: null, frozen: null, importing: null });
    await env.BACKUPS.put(key, bytes);
    expect((await restoreInto("copy-7")).restore).toMatchObject({ status: "completed", attempt: 2, error: null });
    expect(await queried("copy-7", "SELECT count(*) FROM c")).toMatchObject({ rows: [[1]] });
  });

  test("can also be retried as a job", async () => {
    const { key, bytes } = await firstPart();
    await env.BACKUPS.delete(key);
    const { job } = await restoreInto("copy-8");
    await env.BACKUPS.put(key, bytes);
    const { body } = await post<Job>(`/api/jobs/${job.id}/retry`);
    expect(await ended(body.id)).toMatchObject({ status: "completed" });
    expect(await restoreOf("copy-8")).toMatchObject({ status: "completed", job_id: body.id, attempt: 2 });
  });

  test("because the loaded content differs empties the database, which no caller can have written to", async () => {
    afterStep(async (step) => {
      if (step === "load") await env.DB.prepare(`UPDATE backup_parts SET tables = replace(tables, '"rows":1', '"rows":5')`).run();
    });
    const { restore } = await restoreInto("copy-9");
    expect(restore).toMatchObject({ status: "failed", error: expect.stringContaining("table c has 1 rows instead of 5") as string });
    expect(await objectOf("copy-9").state()).toMatchObject({ createdAt: null, frozen: null, importing: null });
    await env.DB.prepare(`UPDATE backup_parts SET tables = replace(tables, '"rows":5', '"rows":1')`).run();
  });

  test("because the database already had content leaves that content alone", async () => {
    beforeStep(async (step) => (step === "load" ? run("copy-10", "CREATE TABLE IF NOT EXISTS theirs(x)") : undefined));
    const { restore } = await restoreInto("copy-10");
    expect(restore).toMatchObject({ status: "failed", error: "conflict: The database is not empty." });
    expect(await queried("copy-10", "SELECT count(*) FROM theirs")).toMatchObject({ result: "rows" });
  });
});

async function cancelDuringLoading(project_id: string): Promise<Restore> {
  const { promise: cut, resolve } = Promise.withResolvers<void>();
  afterStep(async (step) => (step === "load" ? cut : undefined));
  const { restore } = right(await requestRestore({ project_id }));
  await until(restore.job_id, ({ attempts }) => attempts.some(({ step }) => step === "load"));
  while ((await objectOf(project_id).state()).frozen === null) await pause(5);
  await call("POST", `/api/jobs/${restore.job_id}/cancel`);
  vi.restoreAllMocks();
  resolve();
  return restore;
}

test("a restore whose job was cancelled during loading is marked as failed, and retried by the same request", async () => {
  await cancelDuringLoading("copy-11");
  await closeAbandonedRestores(createDeps(env, () => Date.now()));
  expect(await restoreOf("copy-11")).toMatchObject({ status: "failed", error: "Its job ended early: it was cancelled." });
  expect(await objectOf("copy-11").state()).toMatchObject({ createdAt: null, frozen: null });
  await env.DB.prepare("UPDATE restores SET status = 'running', error = NULL WHERE project_id = 'copy-11'").run();
  expect((await restoreInto("copy-11")).restore).toMatchObject({ status: "completed", attempt: 2 });
});

test("a cancelled restore can be retried as a job, without waiting for housekeeping", async () => {
  const restore = await cancelDuringLoading("copy-13");
  const { body } = await post<Job>(`/api/jobs/${restore.job_id}/retry`);
  expect(await ended(body.id)).toMatchObject({ status: "completed" });
  expect(await restoreOf("copy-13")).toMatchObject({ status: "completed", job_id: body.id, attempt: 2 });
  expect(await queried("copy-13", "SELECT count(*) FROM c")).toMatchObject({ rows: [[1]] });
});

test("a restore whose comparison step is repeated succeeds, although the database was written to meanwhile", async () => {
  let cut = false;
  afterStep(async (step) => {
    if (step !== "compare" || cut) return;
    cut = true;
    await queried("copy-14", "INSERT INTO c VALUES (1)");
    throw new Error("the Worker died");
  });
  expect((await restoreInto("copy-14")).restore).toMatchObject({ status: "completed", error: null });
  expect(await queried("copy-14", "INSERT INTO c VALUES (1) RETURNING (SELECT count(*) FROM c)")).toMatchObject({ rows: [[2]] });
});

test("a restore continues after an interruption in any step, and every step may run twice", async () => {
  const cut: string[] = [];
  afterStep((step) => {
    if (cut.includes(step)) return;
    cut.push(step);
    throw new Error("the Worker died");
  });
  const { job, restore } = await restoreInto("copy-12");
  expect(cut).toEqual(["begin", "is the project ready", "load", "compare", "record", "open", "tell operators"]);
  expect([job.status, restore["status"], (await eventsOf("copy-12")).length]).toEqual(["completed", "completed", 1]);
  expect(await queried("copy-12", "SELECT count(*) FROM c")).toMatchObject({ rows: [[1]] });
});

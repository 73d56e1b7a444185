/** A restore and the provisioning of its project: two jobs, in any order, either of which may fail. */
import { introspectWorkflow } from "cloudflare:test";
import type { WorkflowIntrospector } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { ask, ended, until } from "../../jobs/support.ts";
import type { Job } from "../../jobs/support.ts";
import { call, freshStart, get, post, withTheirJobs } from "../../support/worker.ts";
import type { Answer } from "../../support/worker.ts";
import { ask as queried, objectOf, run } from "../../tenant-database/support.ts";
import { makeOrganization, refusal, right, rows } from "../../support/tenants/http.ts";
import { backUp, eventsOf, interceptSteps, restoreOf, waitBefore } from "./support.ts";
import type { Backup, Restore } from "./support.ts";
import { statusText } from "../../support/tenants/keys.ts";
import { create, createdBy, services } from "../../support/tenants/provisioning.ts";
import type { Created } from "../../support/tenants/provisioning.ts";

type Restoring = Partial<Pick<Created, "api_key">> & Pick<Created, "project"> & { readonly restore: Restore };

/** One backup for all tests. Each restore uses another project. */
let workflows: WorkflowIntrospector;
let backup: Backup;
beforeAll(async () => {
  await freshStart();
  withTheirJobs();
  workflows = await introspectWorkflow(env.JOBS);
  await workflows.modifyAll(async (instance) => instance.disableRetryDelays());
  await makeOrganization("org");
  await createdBy();
  await run("shop", "CREATE TABLE c(p)", "INSERT INTO c VALUES (1)");
  ({ backup } = await backUp("shop"));
});
afterEach(() => void vi.restoreAllMocks());
afterAll(async () => workflows.dispose());

const requestRestore = async (project_id: string): Promise<Answer<Restoring>> =>
  post<Restoring>(`/api/projects/shop/backups/${backup.id}/restore`, { project_id });
const jobsOf = async ({ project, restore }: Restoring): Promise<Job[]> =>
  Promise.all([ended(project.provisioning.job_id), ended(restore.job_id)]);

const SQL = { sql: "INSERT INTO c VALUES (2) RETURNING (SELECT count(*) FROM c)" };
const write = async (project: string, key: string | null | undefined): Promise<string> =>
  statusText(await post(`/api/projects/${project}/database/query`, SQL, { token: key ?? "" }));
/** The database accepts requests, and is empty. */
const OPEN_AND_EMPTY = { result: "rows", rows: [[0]] };
const tablesOf = async (project: string): Promise<unknown> =>
  queried(project, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'");

describe("a restored project accepts no write before it was compared", () => {
  test("if provisioning ends last: the database is reserved before the keys work", async () => {
    const seen: string[] = [];
    const { promise: begun, resolve: release } = Promise.withResolvers<void>();
    let key: string | null | undefined;
    const tryWrite = async (when: string) => seen.push(`${when}: ${await write("copy-1", key)}`);
    interceptSteps(
      async (step) => {
        if (step !== "auth") return;
        await begun;
        await tryWrite("during provisioning");
        expect(await objectOf("copy-1").state()).toMatchObject({ importing: { id: `restore:${backup.id}`, pieces: 0 } });
      },
      undefined,
      "provision_project",
    );
    interceptSteps(
      async (step, nth) => {
        if (nth === 1 && (step === "load" || step === "compare")) await tryWrite(`before ${step}`);
      },
      async (step, nth) => {
        if (step === "is the project ready" && nth === 1) release();
        if (step === "compare" && nth === 2) await tryWrite("before the record");
        if (step === "open") await tryWrite("compared");
      },
      "restore_backup",
    );
    const made = right(await requestRestore("copy-1"));
    key = made.api_key?.key;
    expect((await jobsOf(made)).map(({ status }) => status)).toEqual(["completed", "completed"]);
    expect(seen).toEqual([
      "during provisioning: 503 project_not_ready",
      "before load: 503 database_busy",
      "before compare: 503 database_busy",
      "before the record: 503 database_busy",
      "compared: 200",
    ]);
    expect((await eventsOf("copy-1")).map(({ type }) => type)).toEqual(["project.provisioned", "restore.completed"]);
  });

  test("if the project is ready long before the restore begins", async () => {
    const { promise: ready, resolve } = Promise.withResolvers<void>();
    const seen: string[] = [];
    let key: string | null | undefined;
    interceptSteps(
      async (step) => {
        if (step !== "begin") return;
        await ready;
        seen.push(await write("copy-2", key));
      },
      undefined,
      "restore_backup",
    );
    const made = right(await requestRestore("copy-2"));
    key = made.api_key?.key;
    await ended(made.project.provisioning.job_id);
    resolve();
    expect(await ended(made.restore.job_id)).toMatchObject({ status: "completed" });
    expect([...seen, await write("copy-2", key)]).toEqual(["503 database_busy", "200"]);
  });
});

describe("a project that cannot be provisioned", () => {
  test("fails its restore and leaves nothing, and the same request starts both again", async () => {
    services((what) => (what === "POST storage" ? new Response(null, { status: 500 }) : null));
    const made = right(await requestRestore("copy-3"));
    const [, restoring] = await jobsOf(made);
    const error = 'conflict: The project "copy-3" could not be provisioned.';
    expect(restoring).toMatchObject({ status: "failed", error });
    expect(await restoreOf("copy-3")).toMatchObject({ status: "failed", attempt: 1, error });
    expect((await get("/api/projects/copy-3")).status).toBe(404);
    expect(await objectOf("copy-3").state()).toMatchObject({ createdAt: null, importing: null, frozen: null });
    vi.restoreAllMocks();
    const again = right(await requestRestore("copy-3"));
    expect(again.api_key?.key).toMatch(/^qc_/u);
    await jobsOf(again);
    expect(await restoreOf("copy-3")).toMatchObject({ status: "completed", attempt: 2, error: null });
    expect(await write("copy-3", again.api_key?.key)).toBe("200");
  });

  test("refuses a restore during its rollback, and accepts the next request after that", async () => {
    const { promise: undone, resolve } = Promise.withResolvers<void>();
    services(async (what) => {
      if (what === "DELETE storage") await undone;
      return what === "POST storage" ? new Response(null, { status: 500 }) : null;
    });
    const made = right(await requestRestore("copy-4"));
    await ended(made.restore.job_id);
    const refused = await requestRestore("copy-4");
    resolve();
    expect(refusal(refused)).toMatchObject({ status: 409, code: "conflict" });
    expect(refused.body).toMatchObject({ detail: expect.stringContaining("is being rolled back") as string });
    expect(await restoreOf("copy-4")).toMatchObject({ status: "failed", attempt: 1 });
    await ended(made.project.provisioning.job_id);
    vi.restoreAllMocks();
    await jobsOf(right(await requestRestore("copy-4")));
    expect(await restoreOf("copy-4")).toMatchObject({ status: "completed", attempt: 2 });
  });

  test("and whose id another project then uses is not filled, neither by the waiting job nor by a new request", async () => {
    services((what, times) => (what === "POST storage" && times <= 3 ? new Response(null, { status: 500 }) : null));
    const { release } = waitBefore("is the project ready", "restore_backup");
    const made = right(await requestRestore("copy-5"));
    await ended(made.project.provisioning.job_id);
    const other = right(await create({ id: "copy-5" }));
    await ended(other.job.id);
    release();
    expect(await ended(made.restore.job_id)).toMatchObject({ status: "failed" });
    expect(await tablesOf("copy-5")).toMatchObject(OPEN_AND_EMPTY);
    expect(refusal(await requestRestore("copy-5"))).toMatchObject({ status: 409, code: "conflict" });
    expect((await get("/api/projects/copy-5/restore")).status).toBe(404);
    expect(await tablesOf("copy-5")).toMatchObject(OPEN_AND_EMPTY);
  });

  test("and then has no owner frees the id, and a later request gets another job", async () => {
    services((what) => (what === "POST storage" ? new Response(null, { status: 500 }) : null));
    const at = async () => {
      const made = right(await requestRestore("copy-6"));
      await jobsOf(made);
      return made;
    };
    const first = await at();
    const second = await at();
    const archive = async (status: string) => env.DB.prepare("UPDATE organizations SET status = ? WHERE id = 'org'").bind(status).run();
    await archive("ARCHIVED");
    expect(refusal(await requestRestore("copy-6"))).toMatchObject({ status: 422 });
    await archive("ACTIVE");
    vi.restoreAllMocks();
    const third = right(await requestRestore("copy-6"));
    expect([first, second].map(({ restore }) => restore.job_id)).not.toContain(third.restore.job_id);
    await jobsOf(third);
    expect(await restoreOf("copy-6")).toMatchObject({ status: "completed", error: null });
  });
});

describe("a restore that fails while its project is provisioned", () => {
  test.each(["database", "storage", "key"])("leaves the project usable and empty, and can be retried: at %s", async (at) => {
    const id = `copy-7-${at}`;
    const { reached, release } = waitBefore(at, "provision_project");
    interceptSteps(
      async (step) => {
        if (step !== "is the project ready") return;
        await reached;
        throw new Error("the database was unavailable");
      },
      undefined,
      "restore_backup",
    );
    const made = right(await requestRestore(id));
    expect(await ended(made.restore.job_id)).toMatchObject({ status: "failed", error: "the database was unavailable" });
    release();
    expect(await ended(made.project.provisioning.job_id)).toMatchObject({ status: "completed" });
    expect(await tablesOf(id)).toMatchObject(OPEN_AND_EMPTY);
    vi.restoreAllMocks();
    const again = right(await requestRestore(id));
    await ended(again.restore.job_id);
    expect(await restoreOf(id)).toMatchObject({ status: "completed", attempt: 2 });
    expect(await write(id, made.api_key?.key)).toBe("200");
  });

  test("after the database was reserved for it: the job that ends last releases the database", async () => {
    const { promise: reserved, resolve } = Promise.withResolvers<void>();
    const { promise: failed, resolve: release } = Promise.withResolvers<void>();
    interceptSteps(
      () => undefined,
      async (step) => {
        if (step !== "key") return;
        resolve();
        await failed;
      },
      "provision_project",
    );
    interceptSteps(
      async (step) => {
        if (step === "is the project ready") throw new Error("the database was unavailable");
        if (step === "record") await reserved;
      },
      (step) => {
        if (step === "record") release();
      },
      "restore_backup",
    );
    const made = right(await requestRestore("copy-8"));
    await jobsOf(made);
    expect(await tablesOf("copy-8")).toMatchObject(OPEN_AND_EMPTY);
  });

  test("because its job was cancelled: housekeeping marks it as failed, and the project is usable and empty", async () => {
    const { release } = waitBefore("auth", "provision_project");
    const made = right(await requestRestore("copy-9"));
    await until(made.restore.job_id, ({ attempts }) => attempts.some(({ step }) => step === "is the project ready"));
    await until(made.project.provisioning.job_id, ({ attempts }) => attempts.some(({ step }) => step === "auth"));
    await call("POST", `/api/jobs/${made.restore.job_id}/cancel`);
    await ended((await ask({ payload: { retention: true } })).body.id);
    release();
    await ended(made.project.provisioning.job_id);
    expect(await restoreOf("copy-9")).toMatchObject({ status: "failed", error: "Its job ended early: it was cancelled." });
    expect(await tablesOf("copy-9")).toMatchObject(OPEN_AND_EMPTY);
  });

  test("because its project was deleted fills nothing", async () => {
    const { release } = waitBefore("begin", "restore_backup");
    const made = right(await requestRestore("copy-10"));
    await ended(made.project.provisioning.job_id);
    right(await call("DELETE", "/api/projects/copy-10?permanent=true"));
    release();
    expect(await ended(made.restore.job_id)).toMatchObject({ status: "failed", error: 'conflict: The project "copy-10" was deleted.' });
    expect(refusal(await requestRestore("copy-10"))).toMatchObject({ status: 409, code: "conflict" });
    expect(await rows("SELECT status FROM restores WHERE project_id = 'copy-10'")).toEqual([{ status: "failed" }]);
  });
});

test("a backup during provisioning is refused, and its database gets no request", async () => {
  const { release } = waitBefore("database", "provision_project");
  const { body } = await create({ id: "early" });
  const answer = await post("/api/projects/early/backups", {});
  const job = await ended((await ask({ type: "export_backup", payload: { project_id: "early" } })).body.id);
  release();
  await ended(body.job.id);
  expect(statusText(answer)).toBe("503 project_not_ready");
  expect(job).toMatchObject({ status: "failed", error: expect.stringMatching(/^project_not_ready: /u) as string });
  expect(await rows("SELECT id FROM backups WHERE project_id = 'early'")).toEqual([]);
});

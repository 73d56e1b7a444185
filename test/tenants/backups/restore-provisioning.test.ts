/** Where a restore meets the making of its project: two jobs, in any order, either of which may fail. */
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
import { backUp, meddle, toldOf } from "./support.ts";
import type { Backup } from "./support.ts";
import { statusText } from "../../support/tenants/keys.ts";
import { create, createdBy, services } from "../../support/tenants/provisioning.ts";
import type { Created } from "../../support/tenants/provisioning.ts";

interface Restore extends Record<string, unknown> {
  readonly status: string;
  readonly job_id: string;
  readonly error: string | null;
}
type Restoring = Partial<Pick<Created, "api_key">> & Pick<Created, "project"> & { readonly restore: Restore };

/** One backup for all; each restore goes into a project of its own. */
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

const askFor = async (project_id: string): Promise<Answer<Restoring>> =>
  post<Restoring>(`/api/projects/shop/backups/${backup.id}/restore`, { project_id });
const stateOf = async (project: string): Promise<Restore> => right(await get<Restore>(`/api/projects/${project}/restore`));
const jobsOf = async ({ project, restore }: Restoring): Promise<Job[]> =>
  Promise.all([ended(project.provisioning.job_id), ended(restore.job_id)]);

const SQL = { sql: "INSERT INTO c VALUES (2) RETURNING (SELECT count(*) FROM c)" };
const write = async (project: string, key: string | null | undefined): Promise<string> =>
  statusText(await post(`/api/projects/${project}/database/query`, SQL, { token: key ?? "" }));
/** Open to whoever has the key, and empty. */
const OPEN_AND_EMPTY = { result: "rows", rows: [[0]] };
const tablesOf = async (project: string): Promise<unknown> =>
  queried(project, "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'");

describe("nobody writes to a restored project before it was compared", () => {
  test("though its job comes last to the end: it is reserved before its keys work", async () => {
    const seen: string[] = [];
    const { promise: begun, resolve: goOn } = Promise.withResolvers<void>();
    let key: string | null | undefined;
    const note = async (when: string) => seen.push(`${when}: ${await write("copy-1", key)}`);
    meddle(
      async (step) => {
        if (step !== "auth") return;
        await begun;
        await note("while it is made");
        expect(await objectOf("copy-1").state()).toMatchObject({ importing: { id: `restore:${backup.id}`, pieces: 0 } });
      },
      undefined,
      "provision_project",
    );
    meddle(
      async (step, nth) => {
        if (nth === 1 && (step === "load" || step === "compare")) await note(`before ${step}`);
      },
      async (step, nth) => {
        if (step === "is the project ready" && nth === 1) goOn();
        if (step === "compare" && nth === 2) await note("before it is known");
        if (step === "open") await note("compared");
      },
      "restore_backup",
    );
    const made = right(await askFor("copy-1"));
    key = made.api_key?.key;
    expect((await jobsOf(made)).map(({ status }) => status)).toEqual(["completed", "completed"]);
    expect(seen).toEqual([
      "while it is made: 503 project_not_ready",
      "before load: 503 database_busy",
      "before compare: 503 database_busy",
      "before it is known: 503 database_busy",
      "compared: 200",
    ]);
    expect((await toldOf("copy-1")).map(({ type }) => type)).toEqual(["project.provisioned", "restore.completed"]);
  });

  test("though its project is ready long before the restore begins", async () => {
    const { promise: ready, resolve } = Promise.withResolvers<void>();
    const seen: string[] = [];
    let key: string | null | undefined;
    meddle(
      async (step) => {
        if (step !== "begin") return;
        await ready;
        seen.push(await write("copy-2", key));
      },
      undefined,
      "restore_backup",
    );
    const made = right(await askFor("copy-2"));
    key = made.api_key?.key;
    await ended(made.project.provisioning.job_id);
    resolve();
    expect(await ended(made.restore.job_id)).toMatchObject({ status: "completed" });
    expect([...seen, await write("copy-2", key)]).toEqual(["503 database_busy", "200"]);
  });
});

describe("a project that cannot be provisioned", () => {
  test("fails its restore and leaves nothing; the same request makes both anew", async () => {
    services((what) => (what === "POST storage" ? new Response(null, { status: 500 }) : null));
    const made = right(await askFor("copy-3"));
    const [, restoring] = await jobsOf(made);
    const error = 'conflict: The project "copy-3" could not be provisioned.';
    expect(restoring).toMatchObject({ status: "failed", error });
    expect(await stateOf("copy-3")).toMatchObject({ status: "failed", attempt: 1, error });
    expect((await get("/api/projects/copy-3")).status).toBe(404);
    expect(await objectOf("copy-3").state()).toMatchObject({ createdAt: null, importing: null, frozen: null });
    vi.restoreAllMocks();
    const again = right(await askFor("copy-3"));
    expect(again.api_key?.key).toMatch(/^qc_/u);
    await jobsOf(again);
    expect(await stateOf("copy-3")).toMatchObject({ status: "completed", attempt: 2, error: null });
    expect(await write("copy-3", again.api_key?.key)).toBe("200");
  });

  test("is not restored into while it is being undone: the request is refused, and the next one after that is not", async () => {
    const { promise: undone, resolve } = Promise.withResolvers<void>();
    services(async (what) => {
      if (what === "DELETE storage") await undone;
      return what === "POST storage" ? new Response(null, { status: 500 }) : null;
    });
    const made = right(await askFor("copy-4"));
    await ended(made.restore.job_id);
    const refused = await askFor("copy-4");
    resolve();
    expect(refusal(refused)).toMatchObject({ status: 409, code: "conflict" });
    expect(refused.body).toMatchObject({ detail: expect.stringContaining("is being rolled back") as string });
    expect(await stateOf("copy-4")).toMatchObject({ status: "failed", attempt: 1 });
    await ended(made.project.provisioning.job_id);
    vi.restoreAllMocks();
    await jobsOf(right(await askFor("copy-4")));
    expect(await stateOf("copy-4")).toMatchObject({ status: "completed", attempt: 2 });
  });

  test("whose id is then taken by a project of its own is not filled, neither by the job that waits nor by asking again", async () => {
    services((what, times) => (what === "POST storage" && times <= 3 ? new Response(null, { status: 500 }) : null));
    const { promise: taken, resolve } = Promise.withResolvers<void>();
    meddle(
      async (step) => {
        if (step === "is the project ready") await taken;
      },
      undefined,
      "restore_backup",
    );
    const made = right(await askFor("copy-5"));
    await ended(made.project.provisioning.job_id);
    const other = right(await create({ id: "copy-5" }));
    await ended(other.job.id);
    resolve();
    expect(await ended(made.restore.job_id)).toMatchObject({ status: "failed" });
    expect(await tablesOf("copy-5")).toMatchObject(OPEN_AND_EMPTY);
    expect(refusal(await askFor("copy-5"))).toMatchObject({ status: 409, code: "conflict" });
    expect((await get("/api/projects/copy-5/restore")).status).toBe(404);
    expect(await tablesOf("copy-5")).toMatchObject(OPEN_AND_EMPTY);
  });

  test("and then has no owner frees the id, and a later request has a job of its own", async () => {
    services((what) => (what === "POST storage" ? new Response(null, { status: 500 }) : null));
    const at = async () => {
      const made = right(await askFor("copy-6"));
      await jobsOf(made);
      return made;
    };
    const first = await at();
    const second = await at();
    const archive = async (status: string) => env.DB.prepare("UPDATE organizations SET status = ? WHERE id = 'org'").bind(status).run();
    await archive("ARCHIVED");
    expect(refusal(await askFor("copy-6"))).toMatchObject({ status: 422 });
    await archive("ACTIVE");
    vi.restoreAllMocks();
    const third = right(await askFor("copy-6"));
    expect([first, second].map(({ restore }) => restore.job_id)).not.toContain(third.restore.job_id);
    await jobsOf(third);
    expect(await stateOf("copy-6")).toMatchObject({ status: "completed", error: null });
  });
});

describe("a restore that gives up while its project is made", () => {
  test.each(["database", "storage", "key"])("leaves it open and empty, and is tried again: at %s", async (at) => {
    const id = `copy-7-${at}`;
    const { promise: given, resolve: goOn } = Promise.withResolvers<void>();
    const { promise: reached, resolve: atStep } = Promise.withResolvers<void>();
    meddle(
      async (step) => {
        if (step !== at) return;
        atStep();
        await given;
      },
      undefined,
      "provision_project",
    );
    meddle(
      async (step) => {
        if (step !== "is the project ready") return;
        await reached;
        throw new Error("the database was away");
      },
      undefined,
      "restore_backup",
    );
    const made = right(await askFor(id));
    expect(await ended(made.restore.job_id)).toMatchObject({ status: "failed", error: "the database was away" });
    goOn();
    expect(await ended(made.project.provisioning.job_id)).toMatchObject({ status: "completed" });
    expect(await tablesOf(id)).toMatchObject(OPEN_AND_EMPTY);
    vi.restoreAllMocks();
    const again = right(await askFor(id));
    await ended(again.restore.job_id);
    expect(await stateOf(id)).toMatchObject({ status: "completed", attempt: 2 });
    expect(await write(id, made.api_key?.key)).toBe("200");
  });

  test("between its reservation and the note of it: whoever is last lets it go", async () => {
    const { promise: reserved, resolve } = Promise.withResolvers<void>();
    const { promise: failed, resolve: goOn } = Promise.withResolvers<void>();
    meddle(
      () => undefined,
      async (step) => {
        if (step !== "key") return;
        resolve();
        await failed;
      },
      "provision_project",
    );
    meddle(
      async (step) => {
        if (step === "is the project ready") throw new Error("the database was away");
        if (step === "record") await reserved;
      },
      (step) => {
        if (step === "record") goOn();
      },
      "restore_backup",
    );
    const made = right(await askFor("copy-8"));
    await jobsOf(made);
    expect(await tablesOf("copy-8")).toMatchObject(OPEN_AND_EMPTY);
  });

  test("because its job was cancelled: housekeeping fails it, and the project is ready, open and empty", async () => {
    const { promise: cancelled, resolve: goOn } = Promise.withResolvers<void>();
    meddle(
      async (step) => {
        if (step === "auth") await cancelled;
      },
      undefined,
      "provision_project",
    );
    const made = right(await askFor("copy-9"));
    await until(made.restore.job_id, ({ attempts }) => attempts.some(({ step }) => step === "is the project ready"));
    await until(made.project.provisioning.job_id, ({ attempts }) => attempts.some(({ step }) => step === "auth"));
    await call("POST", `/api/jobs/${made.restore.job_id}/cancel`);
    await ended((await ask({ payload: { retention: true } })).body.id);
    goOn();
    await ended(made.project.provisioning.job_id);
    expect(await stateOf("copy-9")).toMatchObject({ status: "failed", error: "Its job ended early: it was cancelled." });
    expect(await tablesOf("copy-9")).toMatchObject(OPEN_AND_EMPTY);
  });

  test("because its project was deleted fills nothing", async () => {
    const { promise: deleted, resolve } = Promise.withResolvers<void>();
    meddle(
      async (step) => {
        if (step === "begin") await deleted;
      },
      undefined,
      "restore_backup",
    );
    const made = right(await askFor("copy-10"));
    await ended(made.project.provisioning.job_id);
    right(await call("DELETE", "/api/projects/copy-10?permanent=true"));
    resolve();
    expect(await ended(made.restore.job_id)).toMatchObject({ status: "failed", error: 'conflict: The project "copy-10" was deleted.' });
    expect(refusal(await askFor("copy-10"))).toMatchObject({ status: 409, code: "conflict" });
    expect(await rows("SELECT status FROM restores WHERE project_id = 'copy-10'")).toEqual([{ status: "failed" }]);
  });
});

test("a project that is being made has no backup taken, and its database is asked nothing", async () => {
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  meddle(
    async (step) => {
      if (step === "database") await asked;
    },
    undefined,
    "provision_project",
  );
  const { body } = await create({ id: "early" });
  const answer = await post("/api/projects/early/backups", {});
  const job = await ended((await ask({ type: "export_backup", payload: { project_id: "early" } })).body.id);
  resolve();
  await ended(body.job.id);
  expect(statusText(answer)).toBe("503 project_not_ready");
  expect(job).toMatchObject({ status: "failed", error: expect.stringMatching(/^project_not_ready: /u) as string });
  expect(await rows("SELECT id FROM backups WHERE project_id = 'early'")).toEqual([]);
});

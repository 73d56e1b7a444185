import { introspectWorkflow } from "cloudflare:test";
import type { WorkflowIntrospector } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { JobQueue } from "../../../worker/src/jobs/enqueue.ts";
import { TenantDatabases } from "../../../worker/src/tenant-database/index.ts";
import { ended, until } from "../../jobs/support.ts";
import type { Job } from "../../jobs/support.ts";
import { concurrently, freshStart, get, post, withTheirJobs } from "../../support/worker.ts";
import { audited, count, makeOrganization, readProject, rows } from "../../support/tenants/http.ts";
import { statusText } from "../../support/tenants/keys.ts";
import { create, createdBy, services } from "../../support/tenants/provisioning.ts";
import { addProject } from "../../support/tenants/rows.ts";
import { stepsOf } from "./support.ts";

let workflows: WorkflowIntrospector;

beforeEach(async () => {
  await freshStart();
  withTheirJobs();
  await makeOrganization("org");
  workflows = await introspectWorkflow(env.JOBS);
  await workflows.modifyAll(async (instance) => instance.disableRetryDelays());
});
afterEach(async () => {
  await workflows.dispose();
  vi.restoreAllMocks();
});
const stateOf = async () => env.TENANT_DATABASE.getByName("shop").state();

describe("a project is provisioned", () => {
  test("in visible steps, and its key works as soon as all are done", async () => {
    let goOn = (): void => undefined;
    const blocked = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const requests = services(async (what) => {
      if (what === "POST realtime") await blocked;
      return null;
    });
    const { status, body } = await create();
    const key = body.api_key.key ?? "";
    expect({ status, job: body.job }).toEqual({
      status: 201,
      job: { id: body.project.provisioning.job_id, status: "queued", href: `/api/jobs/${body.job.id}` },
    });
    await vi.waitFor(
      async () =>
        expect(await stepsOf()).toEqual(["running", "database done", "auth done", "realtime running", "storage pending", "key pending"]),
      5_000,
    );
    expect(await get(body.job.href)).toMatchObject({ body: { status: "running", project_id: "shop" } });

    const early = await get("/api/authors/top", { token: key });
    expect([statusText(early), early.headers.get("retry-after")]).toEqual(["503 project_not_ready", "2"]);
    expect(early.body["detail"]).toBe("The project shop is being provisioned. Its keys start working when provisioning is complete.");
    const query = { sql: "SELECT 1" };
    expect(statusText(await post("/api/projects/shop/database/query", query, { token: key }))).toBe("503 project_not_ready");
    expect(statusText(await post("/api/projects/shop/database/query", query))).toBe("503 project_not_ready");
    expect(statusText(await post("/api/enrich/batch-direct", { isbns: ["9780201633610"] }, { token: key }))).toBe("503 project_not_ready");
    expect(statusText(await get("/api/projects/shop", { token: key }))).toBe("200");
    const use = { id: "e", project_id: "shop", type: "storage_uploads_per_day" };
    expect((await post<{ results: unknown[] }>("/api/usage/events", { events: [use] })).body.results).toMatchObject([{ status: 404 }]);

    goOn();
    const job = await ended(body.job.id);
    expect(job).toMatchObject({
      status: "completed",
      payload: { project_id: "shop", project_name: "Shop", owner_id: "ada", region: "weur" },
      result: {
        outcome: "provisioned",
        steps: { database: { schema_version: 1 }, auth: "registered", realtime: "registered", storage: "registered" },
      },
    });
    expect(await stepsOf()).toEqual(["done", "database done", "auth done", "realtime done", "storage done", "key done"]);
    expect(statusText(await get("/api/authors/top", { token: key }))).toBe("200");
    expect(statusText(await post("/api/projects/shop/database/query", query, { token: key }))).toBe("200");
    expect(await stateOf()).toMatchObject({ createdAt: expect.any(Number), schemaVersion: 1 });
    const project = { project_id: "shop", name: "Shop", region: "weur", owner_id: "ada" };
    const sent = (service: string, url: string) => ({
      what: `POST ${service}`,
      url,
      body: project,
      idempotencyKey: `${job.id}-${service}`,
      redirect: "manual",
    });
    expect(requests).toEqual([
      sent("auth", "http://auth.test/projects"),
      sent("realtime", "http://realtime.test/"),
      sent("storage", "http://storage.test/v1?zone=a"),
    ]);
    expect(await rows("SELECT service, status, reference FROM registrations ORDER BY service")).toEqual(
      ["auth", "realtime", "storage"].map((service) => ({ service, status: "registered", reference: `${service}-77` })),
    );
    expect(await rows("SELECT type, json_extract(data, '$.region') AS region FROM events")).toEqual([
      { type: "project.provisioned", region: "weur" },
    ]);
    expect(await audited("subject=project:shop")).toEqual(["project.create project:shop", "project.provision project:shop"]);
  });

  test("without services: each row says local", async () => {
    const { job } = await createdBy();
    expect(job.status).toBe("completed");
    expect(await stepsOf()).toEqual(["done", "database done", "auth local", "realtime local", "storage local", "key done"]);
    expect(await rows("SELECT DISTINCT status FROM registrations")).toEqual([{ status: "local" }]);
  });

  test("near its region, which is set when its database is created", async () => {
    const hints: unknown[] = [];
    const databases = new TenantDatabases({
      getByName: (name: string, options?: unknown) => {
        hints.push(options);
        return env.TENANT_DATABASE.getByName(name);
      },
    } as unknown as ConstructorParameters<typeof TenantDatabases>[0]);
    await databases.create("there", "weur");
    await databases.create("anywhere", null);
    expect(hints).toEqual([{ locationHint: "weur" }, {}]);
  });

  test("although a step fails after its effect: the retry finds the effect", async () => {
    const real = Reflect.get(TenantDatabases.prototype, "create") as () => Promise<void>;
    vi.spyOn(TenantDatabases.prototype, "create").mockImplementationOnce(async function lost(this: TenantDatabases, ...given) {
      await Reflect.apply(real, this, given);
      throw new Error("the answer was lost");
    });
    const requests = services((what, times) => {
      if (what === "POST auth" && times === 1) throw new Error("connection reset");
      return what === "POST auth" ? new Response("the database exists", { status: 409 }) : null;
    });
    const { job } = await createdBy();
    expect(job).toMatchObject({ status: "completed", tries: 2 });
    const keys = requests.filter(({ what }) => what === "POST auth").map(({ idempotencyKey }) => idempotencyKey);
    expect(keys).toEqual([`${job.id}-auth`, `${job.id}-auth`]);
    expect(await rows("SELECT count(*) AS events FROM events")).toEqual([{ events: 1 }]);
  });

  test("once, when ten clients send the request concurrently: one key, one job", async () => {
    const answers = await concurrently(10, 10, async () => create());
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([...Array.from({ length: 9 }, () => 200), 201]);
    expect(new Set(answers.map(({ body }) => body.job.id)).size).toBe(1);
    expect(new Set(answers.map(({ body }) => body.api_key.id)).size).toBe(1);
    expect(answers.flatMap(({ body }) => body.api_key.key ?? [])).toHaveLength(1);
    const again = answers.find(({ status }) => status === 200)?.body;
    expect(again?.["note"]).toContain("Its first key was only in that response");
    await ended(again?.job.id ?? "");
    expect(await rows("SELECT (SELECT count(*) FROM jobs) AS jobs, (SELECT count(*) FROM api_keys) AS keys")).toEqual([
      { jobs: 1, keys: 1 },
    ]);

    const later = await create();
    expect(later).toMatchObject({
      status: 200,
      body: { project: { provisioning: { status: "done" } }, api_key: { key: null }, job: { status: "completed" } },
    });
    for (const other of [{ name: "Other" }, { region: null }, { caps: { db_queries_per_day: 7 } }, { key: { scopes: ["read"] } }]) {
      expect(statusText(await create(other))).toBe("409 conflict");
    }
  });
});

test("a project older than provisioning is ready, and no request creates it again", async () => {
  await addProject("shop", "org");
  expect(await readProject("shop")).toMatchObject({ provisioning: { status: "done", job_id: null, steps: [], error: null } });
  expect(statusText(await post("/api/projects/shop/database/query", { sql: "SELECT 1" }))).toBe("200");
  expect(await create()).toMatchObject({ status: 409, body: { detail: 'The project "shop" already exists.' } });
});

test("no sweep checks a project that is not ready, and no billed call is accepted for it", async () => {
  vi.spyOn(JobQueue.prototype, "enqueueProvisionProjectJob").mockRejectedValueOnce(new Error("the index is unavailable"));
  await create();
  await count("shop", "db_queries_per_day", 20_000);
  for (const payload of [{}, { project_ids: ["shop"] }]) {
    const { body } = await post<Job>("/api/jobs", { type: "check_usage_limits", payload });
    const errors = payload.project_ids ? [{ project_id: "shop", error: "the project does not exist or is not active" }] : [];
    expect((await ended(body.id)).result).toMatchObject({ projects_checked: 0, projects_suspended: 0, errors });
  }
  const call = { id: "c", project_id: "shop", type: "api_calls" };
  expect((await post<{ results: unknown[] }>("/api/usage/events", { events: [call] })).body.results).toMatchObject([{ status: 404 }]);
  expect(await rows("SELECT api_calls FROM billing_periods WHERE api_calls > 0")).toEqual([]);
});

test("a job for an unknown project reports it, and one for a ready project does nothing", async () => {
  const { body } = await post<Job>("/api/jobs", { type: "provision_project", payload: { project_id: "unknown" } });
  expect(await ended(body.id)).toMatchObject({
    status: "failed",
    error: 'The project "unknown" does not exist or is already provisioned. POST /api/projects creates one.',
  });
  await createdBy();
  const again = await post<Job>("/api/jobs", { type: "provision_project", payload: { project_id: "shop" } });
  expect(await until(again.body.id, ({ status }) => status === "completed")).toMatchObject({
    result: { outcome: "provisioned", steps: {} },
  });
  expect(await rows("SELECT type FROM events")).toEqual([{ type: "project.provisioned" }]);
});

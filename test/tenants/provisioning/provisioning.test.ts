import { introspectWorkflow } from "cloudflare:test";
import type { WorkflowIntrospector } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { JobQueue } from "../../../worker/src/jobs/enqueue.ts";
import { OWNED_TABLES } from "../../../worker/src/store/provisioning/provisionings.ts";
import { TenantDatabases } from "../../../worker/src/tenant-database/index.ts";
import { ask, ended, until } from "../../jobs/support.ts";
import type { Job } from "../../jobs/support.ts";
import { concurrently, freshStart, get, post, withTheirJobs, setClock } from "../../support/worker.ts";
import { audit, audited, count, makeOrganization, readProject, rows } from "../../support/tenants/http.ts";
import { statusText } from "../../support/tenants/keys.ts";
import { create, createdBy, leftOf, services } from "../../support/tenants/provisioning.ts";
import { addProject } from "../../support/tenants/rows.ts";

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

const stepsOf = async (): Promise<string[]> => {
  const { provisioning } = (await readProject("shop")) as unknown as {
    provisioning: { status: string; steps: { step: string; status: string }[] };
  };
  return [provisioning.status, ...provisioning.steps.map(({ step, status }) => `${step} ${status}`)];
};
const stateOf = async () => env.TENANT_DATABASE.getByName("shop").state();

async function housekeeping(): Promise<{ resumed: { provisionings: number } }> {
  const job = await ended((await ask()).body.id);
  expect(job.status).toBe("completed");
  return job.result as { resumed: { provisionings: number } };
}

/** The latest job of a type. */
const latest = async (): Promise<Job> => {
  const [row] = (await get<{ jobs: Job[] }>("/api/jobs?type=provision_project&limit=1")).body.jobs;
  return ended(row?.id ?? "");
};

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
    expect(early.body["detail"]).toBe("The project shop is being provisioned. Its keys work when that is complete.");
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
    expect(again?.["note"]).toContain("Its first key was shown then");
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

/** A step that fails three times. */
const refuse = {
  database: () => vi.spyOn(TenantDatabases.prototype, "create").mockRejectedValue(new Error("no room")),
  key: async () =>
    env.DB.prepare(
      "CREATE TRIGGER never_done BEFORE UPDATE OF provisioning ON projects WHEN new.provisioning = 'done' BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    ).run(),
};

describe("a failure is rolled back in the opposite order, and leaves nothing", () => {
  const ALL = ["POST auth", "POST realtime", "POST storage"];
  const DELETES = ["DELETE storage", "DELETE realtime", "DELETE auth"];

  test.each([
    ["database", null, "database: no room", []],
    ["auth", () => new Response(null, { status: 500 }), "auth: The service auth responded to POST with 500", DELETES.slice(2)],
    [
      "realtime",
      () => new Response(null, { status: 302, headers: { location: "http://realtime.test/other" } }),
      "realtime: The service realtime responded to POST with 302. Redirects are not followed",
      DELETES.slice(1),
    ],
    [
      "storage",
      () => {
        throw new Error("connection refused by http://storage.test/v1?zone=a");
      },
      "storage: The service storage could not be reached",
      DELETES,
    ],
    ["key", null, "key: storage_unavailable: The database did not answer", DELETES],
  ] as const)("of the step %s", async (step, answer, error, deletes) => {
    const requests = services((what) => (what === `POST ${step}` && answer !== null ? answer() : null));
    if (step === "database" || step === "key") await refuse[step]();
    const { made, job } = await createdBy();
    expect(job).toMatchObject({
      status: "failed",
      tries: 3,
      error: `${error}. Everything was undone.`,
      result: { project_id: "shop", outcome: "rolled_back", failed_step: step, left: [] },
    });
    expect(requests.map(({ what }) => what).filter((what) => what.startsWith("DELETE"))).toEqual(deletes);
    expect(
      requests
        .filter(({ what }) => what.startsWith("DELETE"))
        .map(({ url }) => url)
        .at(-1),
    ).toBe(deletes.length === 0 ? undefined : "http://auth.test/projects/shop");
    const reached = [...ALL].filter((what) => requests.some((each) => each.what === what));
    expect(reached).toEqual(step === "database" ? [] : step === "key" ? ALL : ALL.slice(0, ALL.indexOf(`POST ${step}`) + 1));
    expect(await leftOf("shop", made.api_key.id)).toEqual([]);
    expect(statusText(await get("/api/projects/shop"))).toBe("404 not_found");
    expect(statusText(await get("/api/authors/top", { token: made.api_key.key }))).toBe("401 unauthorized");
    expect(await rows("SELECT type, json_extract(data, '$.failed_step') AS step FROM events")).toEqual([
      { type: "project.provisioning_failed", step },
    ]);
    const [last] = await audit("subject=project:shop");
    expect(last).toMatchObject({
      actor: `job:${job.id}`,
      action: "project.provisioning_failed",
      before: { name: "Shop", key_id: made.api_key.id },
      after: { removed: true, failed_step: step },
    });
  });

  test("and the same id can be used again", async () => {
    let healthy = false;
    services((what) => (what === "POST storage" && !healthy ? new Response(null, { status: 500 }) : null));
    const first = await createdBy();
    healthy = true;
    const second = await createdBy();
    expect(second.job).toMatchObject({ status: "completed", run: 1 });
    expect(second.made.job.id).not.toBe(first.made.job.id);
    expect(statusText(await get("/api/authors/top", { token: second.made.api_key.key }))).toBe("200");
    // The first project's job cannot restore it, and does nothing to the second.
    const { body } = await post<Job>(`/api/jobs/${first.job.id}/retry`);
    expect(await ended(body.id)).toMatchObject({ status: "completed" });
    expect(statusText(await get("/api/authors/top", { token: second.made.api_key.key }))).toBe("200");
  });

  test("including an endpoint that subscribed to the failure", async () => {
    const { promise: added, resolve } = Promise.withResolvers<void>();
    services(async (what) => {
      await added;
      return what === "POST storage" ? new Response(null, { status: 500 }) : null;
    });
    const { body } = await create();
    const endpoint = await post("/api/projects/shop/webhooks", { url: "https://shop.example/hook" });
    expect(statusText(endpoint)).toBe("201");
    resolve();
    expect(await ended(body.job.id)).toMatchObject({ status: "failed", result: { outcome: "rolled_back", left: [] } });
    expect(await leftOf("shop", body.api_key.id)).toEqual([]);
  });

  test("also of a service that does not answer in time", async () => {
    vi.spyOn(AbortSignal, "timeout").mockImplementation(() => AbortSignal.abort());
    services((what) => {
      if (what.startsWith("POST")) throw new DOMException("aborted", "TimeoutError");
      return new Response(null, { status: 404 });
    });
    const { made, job } = await createdBy();
    expect(job.error).toBe("auth: The service auth did not answer within 10 s. Everything was undone.");
    expect(await leftOf("shop", made.api_key.id)).toEqual([]);
  });

  test("and a failed rollback is reported, recorded, and completed by housekeeping", async () => {
    let healthy = false;
    const requests = services((what) => (!healthy && /storage|DELETE realtime/u.test(what) ? new Response(null, { status: 503 }) : null));
    const { made, job } = await createdBy();
    expect(job).toMatchObject({
      status: "failed",
      error:
        "storage: The service storage responded to POST with 503. Not undone yet: storage, realtime, project; housekeeping tries again.",
      result: { outcome: "rollback_incomplete", left: ["storage", "realtime", "project"] },
    });
    expect(await stepsOf()).toEqual(["failed", "database pending", "auth pending", "realtime done", "storage failed", "key pending"]);
    expect(await get("/api/authors/top", { token: made.api_key.key })).toMatchObject({
      status: 503,
      body: { detail: "The project shop could not be provisioned and is being rolled back. Create it again." },
    });
    const taken = await create();
    expect([statusText(taken), taken.headers.get("retry-after"), taken.body["job_id"]]).toEqual(["409 conflict", "60", job.id]);

    await setClock("2031-05-14T14:12:00Z");
    expect((await housekeeping()).resumed).toMatchObject({ provisionings: 0 });
    healthy = true;
    await setClock("2031-05-14T14:14:00Z");
    expect((await housekeeping()).resumed).toMatchObject({ provisionings: 1 });
    expect(await latest()).toMatchObject({ status: "completed", result: { outcome: "rolled_back", left: [] } });
    expect(requests.filter(({ what }) => what === "DELETE auth")).toHaveLength(1);
    expect(await leftOf("shop", made.api_key.id)).toEqual([]);
    expect(await rows("SELECT type FROM events")).toEqual([{ type: "project.provisioning_failed" }]);
  });
});

describe("housekeeping completes abandoned creations", () => {
  test("a project whose job was never requested is provisioned", async () => {
    vi.spyOn(JobQueue.prototype, "enqueueProvisionProjectJob").mockRejectedValueOnce(new Error("the index is unavailable"));
    const { status, body } = await create();
    expect({ status, job: body.job.status }).toEqual({ status: 201, job: null });
    await setClock("2031-05-14T14:14:00Z");
    expect((await housekeeping()).resumed).toMatchObject({ provisionings: 1 });
    expect((await latest()).status).toBe("completed");
    expect(statusText(await get("/api/authors/top", { token: body.api_key.key }))).toBe("200");
    expect((await housekeeping()).resumed).toMatchObject({ provisionings: 0 });
  });

  test("one whose job was cancelled is rolled back", async () => {
    let goOn = (): void => undefined;
    const blocked = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const requests = services(async (what) => {
      if (what === "POST realtime") await blocked;
      return null;
    });
    const { body } = await create();
    await vi.waitFor(() => expect(requests).toHaveLength(2), 5_000);
    expect((await post(`${body.job.href}/cancel`)).status).toBe(200);
    goOn();
    await setClock("2031-05-14T14:14:00Z");
    await housekeeping();
    expect(await latest()).toMatchObject({ status: "completed", result: { outcome: "rolled_back" } });
    expect(await leftOf("shop", body.api_key.id)).toEqual([]);
    expect(requests.map(({ what }) => what).slice(2)).toEqual(["DELETE realtime", "DELETE auth"]);
  });

  test("one whose job is gone is provisioned by another, and the old job changes nothing when it resumes", async () => {
    let goOn = (): void => undefined;
    const blocked = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const requests = services(async (what, times) => {
      if (what === "POST realtime" && times === 1) {
        await blocked;
        return new Response(null, { status: 500 });
      }
      return null;
    });
    const { body } = await create();
    await vi.waitFor(() => expect(requests).toHaveLength(2), 5_000);
    const second = await post<Job>("/api/jobs", { type: "provision_project", payload: { project_id: "shop" } });
    expect(await ended(second.body.id)).toMatchObject({ status: "failed", error: 'Another job provisions the project "shop".' });
    await rows("UPDATE jobs SET status = 'failed', ended_at = ? WHERE id = ?", Date.now(), body.job.id);
    const third = await post<Job>("/api/jobs", { type: "provision_project", payload: { project_id: "shop" } });
    expect(await ended(third.body.id)).toMatchObject({ status: "completed", result: { outcome: "provisioned" } });
    goOn();
    await vi.waitFor(async () => expect((await (await env.JOBS.get(body.job.id)).status()).status).toMatch(/errored|complete/u), 5_000);
    expect((await stepsOf())[0]).toBe("done");
    expect(requests.map(({ what }) => what).filter((what) => what.startsWith("DELETE"))).toEqual([]);
    expect(statusText(await get("/api/authors/top", { token: body.api_key.key }))).toBe("200");
  });
});

test("a project older than provisioning is ready, and no request counts as its creation", async () => {
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
    const errors = payload.project_ids ? [{ project_id: "shop", error: "there is no such active project" }] : [];
    expect((await ended(body.id)).result).toMatchObject({ projects_checked: 0, projects_suspended: 0, errors });
  }
  const call = { id: "c", project_id: "shop", type: "api_calls" };
  expect((await post<{ results: unknown[] }>("/api/usage/events", { events: [call] })).body.results).toMatchObject([{ status: 404 }]);
  expect(await rows("SELECT api_calls FROM billing_periods WHERE api_calls > 0")).toEqual([]);
});

test("a job for an unknown project reports it, and one for a ready project does nothing", async () => {
  const { body } = await post<Job>("/api/jobs", { type: "provision_project", payload: { project_id: "nobody" } });
  expect(await ended(body.id)).toMatchObject({
    status: "failed",
    error: 'There is no project "nobody" to provision. POST /api/projects creates one.',
  });
  await createdBy();
  const again = await post<Job>("/api/jobs", { type: "provision_project", payload: { project_id: "shop" } });
  expect(await until(again.body.id, ({ status }) => status === "completed")).toMatchObject({
    result: { outcome: "provisioned", steps: {} },
  });
  expect(await rows("SELECT type FROM events")).toEqual([{ type: "project.provisioned" }]);
});

test("every table that names projects is emptied by a rollback, or keeps the history", async () => {
  const tables = await rows("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%project_id TEXT%'");
  // No key works and no use is counted before a project is ready, so that these have no rows of a failed one.
  const counted = ["counters", "adjustments", "gauges", "admissions", "usage_events", "threshold_notices", "evaluations"];
  // Backups cannot exist either.
  const unused = [...counted, "backups"];
  const historyTables = ["audit_log", "events", "jobs", "restores", "webhook_deliveries"];
  const history = [...historyTables, "project_minutes", "project_hours", "abuse_detections", "signals"];
  expect(tables.map(({ name }) => String(name)).toSorted()).toEqual([...OWNED_TABLES, ...unused, ...history].toSorted());
});

import { introspectWorkflow } from "cloudflare:test";
import type { WorkflowIntrospector } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { JobQueue } from "../../../worker/src/jobs/enqueue.ts";
import { OWNED_TABLES } from "../../../worker/src/store/provisioning/provisionings.ts";
import { TenantDatabases } from "../../../worker/src/tenant-database/index.ts";
import { ask, ended } from "../../jobs/support.ts";
import type { Job } from "../../jobs/support.ts";
import { freshStart, get, post, withTheirJobs, setClock } from "../../support/worker.ts";
import { audit, makeOrganization, rows } from "../../support/tenants/http.ts";
import { statusText } from "../../support/tenants/keys.ts";
import { create, createdBy, leftOf, services } from "../../support/tenants/provisioning.ts";
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

/** A step that fails three times. */
const refuse = {
  database: () => vi.spyOn(TenantDatabases.prototype, "create").mockRejectedValue(new Error("no room")),
  key: async () =>
    env.DB.prepare(
      "CREATE TRIGGER never_done BEFORE UPDATE OF provisioning ON projects WHEN new.provisioning = 'done' BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    ).run(),
};

describe("a failure is rolled back in reverse order, and leaves nothing", () => {
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
      error: `${error}. Everything was rolled back.`,
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

  test("and the id can be used again", async () => {
    let healthy = false;
    services((what) => (what === "POST storage" && !healthy ? new Response(null, { status: 500 }) : null));
    const first = await createdBy();
    healthy = true;
    const second = await createdBy();
    expect(second.job).toMatchObject({ status: "completed", run: 1 });
    expect(second.made.job.id).not.toBe(first.made.job.id);
    expect(statusText(await get("/api/authors/top", { token: second.made.api_key.key }))).toBe("200");
    // The first project's job cannot restore it, and does not change the second project.
    const { body } = await post<Job>(`/api/jobs/${first.job.id}/retry`);
    expect(await ended(body.id)).toMatchObject({ status: "completed" });
    expect(statusText(await get("/api/authors/top", { token: second.made.api_key.key }))).toBe("200");
  });

  test("including its webhook endpoints", async () => {
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
    expect(job.error).toBe("auth: The service auth did not answer within 10 s. Everything was rolled back.");
    expect(await leftOf("shop", made.api_key.id)).toEqual([]);
  });

  test("and a failed rollback is reported, stays recorded, and is finished by housekeeping", async () => {
    let healthy = false;
    const requests = services((what) => (!healthy && /storage|DELETE realtime/u.test(what) ? new Response(null, { status: 503 }) : null));
    const { made, job } = await createdBy();
    expect(job).toMatchObject({
      status: "failed",
      error:
        "storage: The service storage responded to POST with 503. Not rolled back yet: storage, realtime, project. Housekeeping retries.",
      result: { outcome: "rollback_incomplete", left: ["storage", "realtime", "project"] },
    });
    expect(await stepsOf()).toEqual(["failed", "database pending", "auth pending", "realtime done", "storage failed", "key pending"]);
    expect(await get("/api/authors/top", { token: made.api_key.key })).toMatchObject({
      status: 503,
      body: { detail: "The project shop could not be provisioned and is being rolled back. Create it again afterwards." },
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

describe("housekeeping finishes projects that have no working job", () => {
  test("a project whose job was never enqueued is provisioned", async () => {
    vi.spyOn(JobQueue.prototype, "enqueueProvisionProjectJob").mockRejectedValueOnce(new Error("the index is unavailable"));
    const { status, body } = await create();
    expect({ status, job: body.job.status }).toEqual({ status: 201, job: null });
    await setClock("2031-05-14T14:14:00Z");
    expect((await housekeeping()).resumed).toMatchObject({ provisionings: 1 });
    expect((await latest()).status).toBe("completed");
    expect(statusText(await get("/api/authors/top", { token: body.api_key.key }))).toBe("200");
    expect((await housekeeping()).resumed).toMatchObject({ provisionings: 0 });
  });

  test("a project whose job was cancelled is rolled back", async () => {
    let goOn = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const requests = services(async (what) => {
      if (what === "POST realtime") await held;
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

  test("a project whose job is lost is provisioned by another job, and the lost job changes nothing when it returns", async () => {
    let goOn = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const requests = services(async (what, times) => {
      if (what === "POST realtime" && times === 1) {
        await held;
        return new Response(null, { status: 500 });
      }
      return null;
    });
    const { body } = await create();
    await vi.waitFor(() => expect(requests).toHaveLength(2), 5_000);
    const second = await post<Job>("/api/jobs", { type: "provision_project", payload: { project_id: "shop" } });
    expect(await ended(second.body.id)).toMatchObject({ status: "failed", error: 'Another job is provisioning the project "shop".' });
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

test("a rollback clears every table with project ids, except the tables that keep a history", async () => {
  const tables = await rows("SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%project_id TEXT%'");
  // Before a project is ready, no key works and no use is counted. These tables therefore have no rows for it.
  const counted = ["counters", "adjustments", "gauges", "admissions", "usage_events", "threshold_notices", "evaluations"];
  // No backup is made either.
  const unused = [...counted, "backups"];
  const records = ["audit_log", "events", "jobs", "restores", "webhook_deliveries"];
  const history = [...records, "project_minutes", "project_hours", "abuse_detections", "signals"];
  expect(tables.map(({ name }) => String(name)).toSorted()).toEqual([...OWNED_TABLES, ...unused, ...history].toSorted());
});

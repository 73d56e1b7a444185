import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { JOBS } from "../../worker/src/jobs/catalog.ts";
import { Instances } from "../../worker/src/jobs/instances.ts";
import { jobId } from "../../worker/src/jobs/job-id.ts";
import { countRows, failTable, failWrites, healWrites } from "../library/support.ts";
import { postWith } from "../routes/support.ts";
import { call, concurrently, freshStart, get, post, setClock } from "../support/worker.ts";
import { ask, ended, handledBy, pause, read } from "./support.ts";
import type { Job } from "./support.ts";

const effects = vi.fn<(what: string) => void>();

beforeEach(async () => {
  await freshStart();
  effects.mockClear();
  handledBy(async (_, job) => {
    await job.step("work", async () => effects(job.id));
    return { success: true };
  });
});
afterEach(() => void vi.restoreAllMocks());

describe("creating a job", () => {
  test("returns 202 with the job and its address", async () => {
    const { status, headers, body } = await ask({ payload: { provider_count: false }, idempotency_key: "once", project_id: "p1" });
    expect({ status, location: headers.get("location") }).toEqual({ status: 202, location: `/api/jobs/${body.id}` });
    expect(body).toEqual({
      id: await jobId("admin", "housekeeping", "once"),
      type: "housekeeping",
      status: "queued",
      payload: { provider_count: false },
      requested_by: "admin",
      project_id: "p1",
      run: 1,
      retry_of: null,
      tries: 0,
      max_attempts: 3,
      error: null,
      scheduled_for: null,
      request_id: expect.any(String),
      trace_id: expect.stringMatching(/^[0-9a-f]{32}$/u),
      created_at: "2031-05-14T14:03:11Z",
      started_at: null,
      ended_at: null,
    });
    expect(body.id).toMatch(/^housekeeping-[0-9a-f]{40}$/u);
  });

  test.each([
    [{ type: "nonsense" }, "type"],
    [{ type: undefined }, "type"],
    [{ payload: undefined }, "payload"],
    [{ payload: { provider_count: "yes" } }, "payload.provider_count"],
    [{ payload: { restarted_at: "yesterday" } }, "payload.restarted_at"],
    [{ payload: { unknown: 1 } }, "payload.unknown"],
    [{ type: "harvest", payload: { until: "2031" } }, "payload.until"],
    [{ idempotency_key: "" }, "idempotency_key"],
    [{ idempotency_key: "x".repeat(201) }, "idempotency_key"],
    [{ delay_seconds: -1 }, "delay_seconds"],
    [{ delay_seconds: 2_592_001 }, "delay_seconds"],
    [{ max_attempts: 0 }, "max_attempts"],
    [{ max_attempts: 21 }, "max_attempts"],
    [{ surprise: true }, "surprise"],
  ])("refuses %j with the path of the field %s", async (body, path) => {
    expect(await ask(body)).toMatchObject({ status: 400, body: { code: "invalid_request", errors: [{ path }] } });
    expect(await countRows("jobs")).toBe(0);
  });

  test("by fifty concurrent requests with one key creates one job that runs once", async () => {
    const answers = await concurrently(50, 50, async () => ask({ idempotency_key: "same" }));
    expect(new Set(answers.map(({ status, body }) => `${status} ${body.id}`)).size).toBe(1);
    expect(answers[0]?.status).toBe(202);
    const job = await ended(answers[0]?.body.id ?? "");
    expect(job).toMatchObject({ status: "completed", tries: 1 });
    await pause(200);
    expect(effects).toHaveBeenCalledTimes(1);
    expect(await countRows("jobs")).toBe(1);
    expect((await ask({ idempotency_key: "same" })).body).toMatchObject({ id: job.id, status: "completed" });
    expect(effects).toHaveBeenCalledTimes(1);
  });

  test("with a key that was used for a different payload is 409, and the order of fields does not matter", async () => {
    const restarted_at = "2031-05-14T14:00:00Z";
    const first = await ask({ idempotency_key: "k", payload: { provider_count: false, restarted_at } });
    const other = await ask({ idempotency_key: "k", payload: { provider_count: true, restarted_at } });
    expect(other).toMatchObject({ status: 409, body: { code: "conflict", job_id: first.body.id } });
    expect(await ask({ idempotency_key: "k", payload: { restarted_at, provider_count: false } })).toMatchObject({
      status: 202,
      body: { id: first.body.id },
    });
  });

  test("without a key, or with a key of a different type, creates a separate job", async () => {
    const ids = [await ask(), await ask(), await ask({ idempotency_key: "k" }), await ask({ type: "harvest", idempotency_key: "k" })];
    expect(new Set(ids.map(({ body }) => body.id)).size).toBe(4);
  });

  test("starts nothing if it cannot be recorded", async () => {
    await failWrites("jobs");
    const create = vi.fn<() => void>();
    const workflow = { create, get: create };
    expect(await postWith({ JOBS: workflow }, "/api/jobs", { type: "housekeeping", payload: {} })).toMatchObject({
      status: 503,
      body: { code: "storage_unavailable" },
    });
    expect(create).not.toHaveBeenCalled();
    await healWrites("jobs");
    expect(await countRows("jobs")).toBe(0);
  });

  test("shows no secret fields of the payload", async () => {
    Reflect.set(JOBS.housekeeping, "redact", ["restarted_at"]);
    try {
      const { body } = await ask({ payload: { restarted_at: "2031-05-14T14:00:00Z", provider_count: false } });
      const redacted = { restarted_at: "[redacted]", provider_count: false };
      expect(body.payload).toEqual(redacted);
      expect((await read(body.id)).payload).toEqual(redacted);
      expect((await get<{ jobs: Job[] }>("/api/jobs")).body.jobs.map(({ payload }) => payload)).toEqual([redacted]);
      expect((await post<Job>(`/api/jobs/${body.id}/cancel`)).body.payload ?? redacted).toEqual(redacted);
    } finally {
      Reflect.deleteProperty(JOBS.housekeeping, "redact");
    }
  });

  test("hides the payload if the type was removed, because its secret fields are unknown", async () => {
    const { id } = (await ask({ payload: { provider_count: false } })).body;
    await ended(id);
    await env.DB.prepare("UPDATE jobs SET type = 'gone', status = 'failed'").run();
    expect((await read(id)).payload).toEqual({});
    expect(await post(`/api/jobs/${id}/retry`)).toMatchObject({ status: 409 });
  });
});

describe("an instance that is not created after the row", () => {
  const failing = (create: (options: WorkflowInstanceCreateOptions) => Promise<unknown>) => ({
    create,
    get: async (id: string) => env.JOBS.get(id),
    deleteBatch: async (ids: string[]) => env.JOBS.deleteBatch(ids),
  });
  const broken = failing(async () => {
    throw new Error("internal error");
  });
  const askWith = async (workflow: object, body: object = {}): Promise<Job> => {
    const { status, body: job } = await postWith({ JOBS: workflow }, "/api/jobs", { type: "harvest", payload: {}, ...body });
    expect(status).toBe(202);
    return job as unknown as Job;
  };
  const relay = async (): Promise<void> => {
    vi.restoreAllMocks();
    expect(await ended((await ask()).body.id)).toMatchObject({ status: "completed" });
  };

  test("is created by the relay after a minute", async () => {
    const { id } = await askWith(broken);
    expect(await read(id)).toMatchObject({ status: "queued" });
    await relay();
    expect(await read(id)).toMatchObject({ status: "queued" });
    await setClock("2031-05-14T14:04:12Z");
    await relay();
    expect(await ended(id)).toMatchObject({ status: "completed" });
  });

  test("is created by a request that reads it or creates it again", async () => {
    const [seen, again] = [await askWith(broken), await askWith(broken, { idempotency_key: "again" })];
    await setClock("2031-05-14T14:03:20Z");
    await askWith({ ...broken, create: effects }, { idempotency_key: "again" });
    expect(effects).not.toHaveBeenCalled();
    await setClock("2031-05-14T14:03:21Z");
    expect((await ask({ type: "harvest", idempotency_key: "again" })).body.id).toBe(again.id);
    expect(await ended(again.id)).toMatchObject({ status: "completed" });
    await setClock("2031-05-14T14:04:12Z");
    await read(seen.id);
    expect(await ended(seen.id)).toMatchObject({ status: "completed" });
  });

  test("is created once under concurrent reads and requests", async () => {
    const { id } = await askWith(broken, { idempotency_key: "many" });
    await setClock("2031-05-14T14:04:12Z");
    const create = vi.spyOn(Instances.prototype, "create");
    await concurrently(20, 20, async (n) => (n % 2 === 0 ? read(id) : ask({ type: "harvest", idempotency_key: "many" })));
    expect(await ended(id)).toMatchObject({ status: "completed", tries: 1 });
    expect(create).toHaveBeenCalledTimes(1);
    expect(await countRows("harvest_runs")).toBe(1);
  });

  test("runs once if it was created but the answer was lost", async () => {
    const lost = failing(async (options) => {
      await env.JOBS.create(options as never);
      throw new Error("Network connection lost.");
    });
    const { id } = await askWith(lost);
    expect(await ended(id)).toMatchObject({ status: "completed" });
    await setClock("2031-05-14T14:04:12Z");
    await relay();
    expect(await read(id)).toMatchObject({ status: "completed", tries: 1 });
    expect(await countRows("harvest_runs")).toBe(1);
  });
});

describe("the list", () => {
  interface Page {
    readonly jobs: Job[];
    readonly next_cursor: string | null;
  }
  const list = async (query = ""): Promise<Page> => (await get<Page>(`/api/jobs${query}`)).body;

  test("continues after the previous page, even if new jobs are created", async () => {
    // Several jobs have the same time. Their ids decide the order.
    for (let n = 0; n < 12; n += 1) {
      if (n % 3 === 0) await setClock(new Date(Date.now() + 1_000).toISOString());
      await ask({ idempotency_key: `job ${n}`, delay_seconds: 600 });
    }
    const all = (await list()).jobs.map(({ id }) => id);
    expect(all).toHaveLength(12);
    expect((await list()).next_cursor).toBeNull();
    const seen: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const page: Page = await list(`?limit=4${cursor === "" ? "" : `&cursor=${cursor}`}`);
      seen.push(...page.jobs.map(({ id }) => id));
      cursor = page.next_cursor;
      await setClock(new Date(Date.now() + 1_000).toISOString());
      await ask({ delay_seconds: 600 });
    }
    expect(seen).toEqual(all);
    expect((await list()).jobs).toHaveLength(15);
    const times = (await list()).jobs.map(({ created_at }) => created_at);
    expect(times).toEqual(times.toSorted().toReversed());
  });

  test("is filtered by type, status, project and combinations", async () => {
    const late = (await ask({ delay_seconds: 600, project_id: "p1" })).body.id;
    const other = (await ask({ type: "harvest", delay_seconds: 600, project_id: "p2" })).body.id;
    const done = (await ask({ project_id: "p1" })).body.id;
    await ended(done);
    const ids = async (query: string): Promise<string[]> => (await list(query)).jobs.map(({ id }) => id).toSorted();
    expect(await ids("?type=harvest")).toEqual([other]);
    expect(await ids("?status=scheduled")).toEqual([late, other].toSorted());
    expect(await ids("?project_id=p1")).toEqual([late, done].toSorted());
    expect(await ids("?project_id=p1&status=completed&type=housekeeping")).toEqual([done]);
    expect(await ids("?project_id=missing")).toEqual([]);
  });

  test.each([
    "limit=0",
    "limit=201",
    "limit=x",
    "status=done",
    "type=nonsense",
    "project_id=",
    "cursor=",
    "cursor=%00",
    "cursor=W10",
    "cursor=WzEsMl0",
  ])("with %s is 400", async (query) => {
    expect(await get(`/api/jobs?${query}`)).toMatchObject({
      status: 400,
      body: { code: "invalid_request", errors: [{ path: query.split("=")[0] }] },
    });
  });

  test("and every other request is 503 while the database is unavailable", async () => {
    const { id } = (await ask({ delay_seconds: 60 })).body;
    await failTable("jobs");
    for (const [method, path] of [
      ["GET", "/api/jobs"],
      ["GET", `/api/jobs/${id}`],
      ["GET", "/api/jobs/schedules"],
      ["POST", `/api/jobs/${id}/retry`],
    ] as const) {
      expect(await call(method, path)).toMatchObject({ status: 503, body: { code: "storage_unavailable" } });
    }
  });
});

test.each(["abc", `housekeeping-${"0".repeat(40)}`, `housekeeping-${"0".repeat(40)}-r2`, "%00", "x".repeat(101)])(
  "the job %s does not exist",
  async (id) => {
    const expected = id.length > 100 ? 400 : 404;
    expect((await get(`/api/jobs/${id}`)).status).toBe(expected);
    expect((await post(`/api/jobs/${id}/cancel`)).status).toBe(expected);
    expect((await post(`/api/jobs/${id}/retry`)).status).toBe(expected);
  },
);

import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { catchUp, dispatchInBackground, dispatchEvents } from "../../../worker/src/tenants/webhooks/dispatch.ts";
import { attemptDelivery } from "../../../worker/src/tenants/webhooks/delivery.ts";
import { createDeps } from "../../../worker/src/deps.ts";
import { ask, ended } from "../../jobs/support.ts";
import { failWrites, healWrites } from "../../library/support.ts";
import { getMetered, meteredDb } from "../../store/support.ts";
import { freshStart, post, setClock } from "../../support/worker.ts";
import { makeOrganization, makeProject, patch, remove, right, rows } from "../../support/tenants/http.ts";
import {
  deliveries,
  deps,
  dispatchOnly,
  happened,
  makeWebhook,
  outcomes,
  quiet,
  readDelivery,
  receiver,
  deliverEvent,
  untilOutcomes,
} from "./support.ts";

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  await makeProject("shop");
});
afterEach(async () => {
  await quiet();
  vi.restoreAllMocks();
});

const jobs = async (): Promise<number> => Number((await rows("SELECT count(*) AS n FROM jobs WHERE type = 'deliver_webhook'"))[0]?.["n"]);

describe("dispatching", () => {
  test("done concurrently makes one delivery, one job and one request per event", async () => {
    const received = receiver();
    await makeWebhook();
    for (let n = 0; n < 8; n += 1) await happened(`w${n}`);
    const all = await Promise.all(Array.from({ length: 5 }, async () => dispatchEvents(deps())));
    expect(all.reduce((sum, { deliveries: made }) => sum + made, 0)).toBe(8);
    await untilOutcomes(Array.from({ length: 8 }, () => "quota.warning delivered"));
    expect({
      jobs: await jobs(),
      requests: received.length,
      ids: new Set(received.map(({ headers }) => headers["webhook-id"])).size,
    }).toEqual({
      jobs: 8,
      requests: 8,
      ids: 8,
    });
  });

  test("of more than one round dispatches all events, with and without subscribers", async () => {
    await makeProject("quiet");
    await makeWebhook();
    const fill = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450)
      INSERT INTO events (id, type, project_id, data, created_at) SELECT 'e' || i, 'quota.warning', iif(i % 2, 'shop', 'quiet'), '{}', ? FROM n`;
    await rows(fill, Date.now());
    expect(await dispatchOnly()).toEqual({ events: 450, deliveries: 225, jobs: 225, operators_told: 0 });
    expect(await rows("SELECT count(*) AS n FROM events WHERE dispatched_at IS NULL")).toEqual([{ n: 0 }]);
  });

  test("that dies before requesting jobs is completed by the next, and after that requests no second job", async () => {
    const received = receiver();
    await makeWebhook();
    await happened("w1");
    const dying = async () => Promise.reject(new Error("the Worker died"));
    await expect(dispatchEvents({ ...deps(), jobs: { enqueueMany: dying } })).rejects.toThrow("the Worker died");
    expect(await deliveries()).toMatchObject([{ status: "pending", job_id: null }]);
    await failWrites("webhook_deliveries");
    await dispatchInBackground(deps());
    await healWrites("webhook_deliveries");
    expect(await jobs()).toBe(1);
    await dispatchEvents(deps());
    await untilOutcomes(["quota.warning delivered"]);
    expect({ jobs: await jobs(), requests: received.length }).toEqual({ jobs: 1, requests: 1 });
  });

  test("that cannot create the instances leaves them to the relay", async () => {
    const received = receiver();
    await makeWebhook();
    await happened("w1");
    const createBatch = async () => Promise.reject(new Error("internal error"));
    await dispatchEvents(deps({ JOBS: { createBatch } as never }));
    expect({ jobs: await jobs(), deliveries: await outcomes() }).toEqual({ jobs: 1, deliveries: ["quota.warning pending"] });
    await setClock("2031-05-14T14:04:12Z");
    await ended((await ask()).body.id);
    await untilOutcomes(["quota.warning delivered"]);
    expect(received).toHaveLength(1);
  });

  test("of an event that no job accepts ends it, and blocks no others", async () => {
    receiver();
    await makeWebhook();
    await happened("w1", { type: "Not a name" });
    await happened("w2", { data: { text: "x".repeat(250_000) } });
    await happened("w3");
    expect(await dispatchEvents(deps())).toMatchObject({ events: 3, deliveries: 3, jobs: 1 });
    await untilOutcomes(["Not a name failed unsendable", "quota.warning failed unsendable", "quota.warning delivered"]);
  });

  test("is completed by housekeeping", async () => {
    receiver();
    await makeWebhook();
    await happened("w1");
    expect((await ended((await ask()).body.id)).result).toMatchObject({
      dispatched: { events: 1, deliveries: 1, jobs: 1, operators_told: 0, recovered: 0 },
    });
    await untilOutcomes(["quota.warning delivered"]);
  });
});

test("without events reads almost nothing, however long the history", async () => {
  await makeWebhook();
  const fill = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) INSERT INTO`;
  await rows(
    `${fill} events (id, type, project_id, data, created_at, dispatched_at) SELECT 'e' || i, 'quota.warning', 'shop', '{}', 1, 1 FROM n`,
  );
  await rows(`${fill} webhook_deliveries (id, webhook_id, project_id, message_id, event_type, payload, status, due_at, job_id, enqueued_at, changed_by, created_at)
    SELECT 'd' || i, 'w', 'shop', 'm' || i, 'x', '{}', iif(i % 2, 'delivered', 'failed'), 1, 'j', 1, 'x', 1 FROM n`);
  const { db, rowsRead } = meteredDb();
  await catchUp(deps({ DB: db }));
  expect(rowsRead()).toBeLessThan(80);
  const { id } = await makeWebhook();
  await rows("UPDATE webhook_deliveries SET webhook_id = ?, status = 'delivered'", id);
  expect(await getMetered(`/api/projects/shop/webhooks/${id}`)).toMatchObject({ status: 200, body: { replayable: { deliveries: 0 } } });
  for (const path of [id, "deliveries?limit=5", `deliveries?limit=5&webhook_id=${id}`, "deliveries?limit=5&status=failed"]) {
    expect({ path, few: (await getMetered(`/api/projects/shop/webhooks/${path}`)).rowsRead < 80 }).toEqual({ path, few: true });
  }
  await rows("UPDATE webhook_deliveries SET status = iif(seq % 2, 'failed', 'skipped')");
  const missed = await getMetered(`/api/projects/shop/webhooks/${id}`);
  expect({ body: missed.body, few: missed.rowsRead < 3_100 }).toMatchObject({ body: { replayable: { deliveries: 1_000 } }, few: true });
});

test("deliveries are skipped until an archived project is active again, and always for a deleted project", async () => {
  const received = receiver();
  await makeWebhook();
  await happened("w1");
  await dispatchOnly();
  const [{ id } = { id: "" }] = await deliveries();
  right(await remove("/api/projects/shop"));
  expect(await attemptDelivery(deps(), id, 1, 1)).toMatchObject({ is: "skipped", reason: "project_archived" });
  expect(await deliverEvent("w2")).toMatchObject({ is: "skipped", reason: "project_archived" });
  expect(await post(`/api/projects/shop/webhooks/deliveries/${id}/replay`)).toMatchObject({ status: 409 });
  right(await patch("/api/projects/shop", { status: "ACTIVE" }));
  expect(await post(`/api/projects/shop/webhooks/deliveries/${id}/replay`)).toMatchObject({ status: 202 });
  await vi.waitFor(async () => expect(received).toHaveLength(1), 10_000);
  right(await remove("/api/projects/shop?permanent=true"));
  await happened("w3");
  expect(await dispatchOnly()).toMatchObject({ events: 1, deliveries: 0 });
});

test("lists are filtered and paged, and deliveries are removed after 30 days with their attempts", async () => {
  receiver(() => new Response("", { status: 500 }));
  const { id } = await makeWebhook();
  await deliverEvent("w1");
  await setClock("2031-05-20T00:00:00Z");
  await makeWebhook("shop", { url: "https://other.example/" });
  await happened("w2");
  await dispatchOnly();
  const listed = async (query: string) => (await deliveries(query)).map(({ event_id, status }) => `${String(event_id)} ${status}`);
  expect(await listed("")).toEqual(["w2 pending", "w2 pending", "w1 failed"]);
  expect(await listed("status=failed")).toEqual(["w1 failed"]);
  expect(await listed(`webhook_id=${id}`)).toEqual(["w2 pending", "w1 failed"]);
  expect(await listed(`webhook_id=${id}&status=pending`)).toEqual(["w2 pending"]);
  expect(await listed("status=skipped")).toEqual([]);
  await setClock("2031-06-13T14:03:11Z");
  const kept = async () => ended((await ask({ payload: { retention: true } })).body.id);
  expect((await kept()).result).toMatchObject({ removed: { webhook_deliveries: 0 } });
  await setClock("2031-06-13T14:03:12Z");
  expect((await kept()).result).toMatchObject({ removed: { webhook_deliveries: 1 } });
  expect(await rows("SELECT count(*) AS n FROM webhook_attempts WHERE delivery_id NOT IN (SELECT id FROM webhook_deliveries)")).toEqual([
    { n: 0 },
  ]);
  expect(await env.DB.prepare("SELECT count(*) AS n FROM webhook_deliveries WHERE event_id = 'w1'").first("n")).toBe(0);
});

test("a delivery resent many times has its last 50 attempts listed", async () => {
  await makeWebhook();
  await happened("w1");
  await dispatchOnly();
  const id = (await deliveries())[0]?.id ?? "";
  const sql = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 130)
    INSERT INTO webhook_attempts (delivery_id, run, attempt, at, duration_ms, status_code) SELECT ?, (i + 1) / 2, 2 - i % 2, 1, 1, 500 FROM n`;
  await rows(sql, id);
  const { attempts } = await readDelivery(id);
  const listed = attempts.map(({ run, attempt }) => `${run}.${attempt}`);
  expect([listed.length, ...listed.slice(0, 2), ...listed.slice(-2)]).toEqual([50, "41.1", "41.2", "65.1", "65.2"]);
});

test("of a delivery resent many times, the attempts of ten runs are kept", async () => {
  receiver(() => new Response("", { status: 500 }));
  await makeWebhook();
  await happened("w1");
  await dispatchOnly();
  const id = (await deliveries())[0]?.id ?? "";
  const runs = Array.from({ length: 12 }, (_, index) => index + 1);
  for (const run of runs) {
    await rows("UPDATE webhook_deliveries SET run = ?, attempts = 0, status = 'pending'", run);
    // Old attempts are deleted by run. Run 3 has two attempts, and both must be kept.
    for (const attempt of run === 3 ? [1, 2] : [1]) await attemptDelivery(deps(), id, run, attempt);
  }
  const kept = (await rows("SELECT run, attempt FROM webhook_attempts")).map(({ run, attempt }) => `${String(run)}.${String(attempt)}`);
  expect(kept).toEqual(["3.1", "3.2", ...runs.slice(3).map((run) => `${run}.1`)]);
});

test("unreachable operators cost one attempt per pass, and one refused message blocks no others", async () => {
  let status = 500;
  const received = receiver((_, nth) => {
    const given = status === 400 && nth > 2 ? 200 : status;
    return Response.json({ ok: given === 200, description: "x", result: {} }, { status: given });
  });
  const bot = { TELEGRAM_BOT_TOKEN: "1:aaaaaaaaaaaaaaaaaaaaaaaaa", TELEGRAM_CHAT_ID: "1", TELEGRAM_API_URL: "https://telegram.example" };
  const pass = async () => (await dispatchEvents(createDeps({ ...env, ...bot }, () => Date.now()))).operators_told;
  for (const id of ["a1", "a2", "a3"]) await happened(id, { type: "abuse.detected" });
  expect([await pass(), received.length]).toEqual([0, 1]);
  status = 400;
  expect([await pass(), received.length]).toEqual([2, 4]);
  status = 200;
  expect([await pass(), received.length]).toEqual([1, 5]);
});

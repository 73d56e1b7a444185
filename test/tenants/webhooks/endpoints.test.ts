import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { callWith } from "../../routes/support.ts";
import { ADMIN_TOKEN, call, concurrently, freshStart, get, post, setClock } from "../../support/worker.ts";
import {
  allPages,
  audit,
  audited,
  makeOrganization,
  makeProject,
  patch,
  refusal,
  remove,
  right,
  rows,
  stop,
} from "../../support/tenants/http.ts";
import { RECEIVER, deliveries, dispatchOnly, happened, makeWebhook, readWebhook, receiver, verified } from "./support.ts";
import type { ShownDelivery, ShownWebhook } from "./support.ts";

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  await makeProject("shop");
});
afterEach(() => void vi.restoreAllMocks());

const at = "/api/projects/shop/webhooks";

describe("a webhook", () => {
  test("is made with a secret that is shown once, and read, changed and deleted", async () => {
    const made = right(
      await post<ShownWebhook>(at, { url: `${RECEIVER}#x`, description: " Alarms ", events: ["quota.warning", "quota.warning"] }),
    );
    const { secret, ...shown } = made;
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/u);
    expect(shown).toEqual({
      id: expect.stringMatching(/^wh_[0-9A-Za-z]{20}$/u),
      project_id: "shop",
      url: RECEIVER,
      description: "Alarms",
      events: ["quota.warning"],
      status: "enabled",
      status_reason: null,
      status_since: "2031-05-14T14:03:11Z",
      failures: 0,
      previous_secret_until: null,
      created_at: "2031-05-14T14:03:11Z",
      updated_at: "2031-05-14T14:03:11Z",
    });
    const one = `${at}/${made.id}`;
    const nothing = { replayable: { deliveries: 0, since: null } };
    expect(right(await get(one))).toEqual({ ...shown, ...nothing });
    await setClock("2031-05-14T15:00:00Z");
    const changed = { ...shown, description: "", events: null, url: "https://other.example/a", updated_at: "2031-05-14T15:00:00Z" };
    const change = { description: "", events: null, url: "https://other.example/a" };
    expect(right(await patch(one, change))).toEqual({ ...changed, ...nothing });
    await setClock("2031-05-14T16:00:00Z");
    expect(right(await patch(one, change))).toEqual({ ...changed, ...nothing });
    expect(right(await remove(one))).toEqual(changed);
    for (const answer of [await get(one), await remove(one)]) expect(refusal(answer)).toEqual({ status: 404, code: "not_found" });
    expect(await audited("project_id=shop")).toEqual([
      expect.stringMatching(/^project\.create /u),
      expect.stringMatching(/^key\.create /u),
      `webhook.create webhook:${made.id}`,
      `webhook.change webhook:${made.id}`,
      `webhook.delete webhook:${made.id}`,
    ]);
    const [, entry] = await audit(`subject=webhook:${made.id}`);
    expect(entry).toMatchObject({
      actor: "admin",
      before: { address: "https://receiver.example", description: "Alarms", events: ["quota.warning"], status: "enabled" },
      after: { address: "https://other.example", description: "", events: null, status: "enabled" },
    });
  });

  test("that nobody may have is refused, by the field that is wrong", async () => {
    const wrong = [
      [{ url: "http://example.com/" }, 422, "url"],
      [{ url: "https://127.1/" }, 422, "url"],
      [{ url: "https://coordinator.test/" }, 422, "url"],
      [{ url: "nonsense" }, 422, "url"],
      [{ url: "" }, 400, "url"],
      [{}, 400, "url"],
      [{ url: RECEIVER, events: [] }, 400, "events"],
      [{ url: RECEIVER, events: ["quota.warned"] }, 400, "events.0"],
      [{ url: RECEIVER, secret: "whsec_mine" }, 400, "secret"],
    ] as const;
    for (const [body, status, path] of wrong) {
      const code = status === 422 ? "unprocessable" : "invalid_request";
      expect({ body, ...(refusal(await post(at, body)) as object) }).toEqual({ body, status, code, paths: [path] });
    }
    expect(await rows("SELECT * FROM webhooks")).toEqual([]);
  });

  test("cannot be given a private address later either", async () => {
    const { id } = await makeWebhook();
    expect(refusal(await patch(`${at}/${id}`, { url: "https://[::ffff:10.0.0.1]/" }))).toMatchObject({ status: 422, paths: ["url"] });
    expect(await readWebhook(id)).toMatchObject({ url: RECEIVER });
  });

  test("may stand on this machine where that is allowed, and only there", async () => {
    const init = (url: string) => ({
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
      body: JSON.stringify({ url }),
    });
    const local = { ALLOW_PRIVATE_WEBHOOKS: "true" };
    expect(await callWith(local, at, init("http://127.0.0.1:9000/"))).toMatchObject({ status: 201 });
    expect(await callWith(local, at, init("http://coordinator.test/"))).toMatchObject({ status: 422 });
    expect(await callWith({}, at, init("http://127.0.0.1:9000/"))).toMatchObject({ status: 422 });
  });

  test("is one of at most twenty, also where many are made at once", async () => {
    const answers = await concurrently(24, 6, async (n) => post(at, { url: `https://n${n}.example/` }));
    const made = answers.filter(({ status }) => status === 201).length;
    expect(made).toBe((await rows("SELECT * FROM webhooks")).length);
    for (let n = made; n < 20; n += 1) await makeWebhook();
    expect(await post(at, { url: RECEIVER })).toMatchObject({ status: 409, body: { code: "conflict", limit: 20 } });
  });

  test("is listed with the others, page by page, without its secret", async () => {
    const made = [await makeWebhook(), await makeWebhook(), await makeWebhook()].map(({ id }) => id);
    await setClock("2031-05-14T14:03:12Z");
    made.push((await makeWebhook()).id);
    const { found, pages } = await allPages(`${at}?limit=2`, (body) => body["webhooks"] as ShownWebhook[]);
    expect({ pages, ids: found.map(({ id }) => id).toSorted(), first: found[0]?.id }).toEqual({
      pages: 2,
      ids: made.toSorted(),
      first: made[3],
    });
    expect(JSON.stringify(found)).not.toContain("whsec_");
  });

  test("of another project is not there", async () => {
    await makeProject("other");
    const { id } = await makeWebhook();
    await happened("w1");
    await dispatchOnly();
    const delivery = (await deliveries())[0]?.id ?? "";
    const foreign = "/api/projects/other/webhooks";
    const answers = [
      await get(`${foreign}/${id}`),
      await patch(`${foreign}/${id}`, { description: "mine" }),
      await remove(`${foreign}/${id}`),
      await post(`${foreign}/${id}/test`),
      await post(`${foreign}/${id}/rotate-secret`),
      await post(`${foreign}/${id}/replay`, { since: "2031-05-14T00:00:00Z" }),
      await get(`${foreign}/deliveries/${delivery}`),
      await post(`${foreign}/deliveries/${delivery}/replay`),
    ];
    expect(answers.map(refusal)).toEqual(answers.map(() => ({ status: 404, code: "not_found" })));
    expect(await deliveries(`webhook_id=${id}`, "other")).toEqual([]);
    expect(await readWebhook(id)).toMatchObject({ description: "" });
  });

  test("is managed by a key of the project that may, and the audit log says by which", async () => {
    const { api_key } = await makeProject("mine", { key: { name: "boss", scopes: ["admin"] } });
    const made = right(await call<ShownWebhook>("POST", "/api/projects/mine/webhooks", { url: RECEIVER }, { token: api_key.key }));
    expect((await audit(`subject=webhook:${made.id}`))[0]).toMatchObject({ actor: `key:${api_key.id}`, project_id: "mine" });
  });
});

describe("a test", () => {
  test("is sent at once and only once, and tells what came back", async () => {
    const received = receiver(() => new Response("no thanks", { status: 404 }));
    const { id, secret } = await makeWebhook("shop", { events: ["project.suspended"] });
    const tested = right(await post<ShownDelivery>(`${at}/${id}/test`));
    expect(tested).toMatchObject({
      type: "webhook.test",
      is_test: true,
      status: "failed",
      reason: "test_failed",
      job_id: null,
      attempts: [{ attempt: 1, status_code: 404, error: "Answered 404.", response: "no thanks" }],
    });
    expect(received).toHaveLength(1);
    const [message] = received;
    expect(message && verified(message, secret)).toEqual({
      type: "webhook.test",
      timestamp: "2031-05-14T14:03:11Z",
      data: { project_id: "shop", webhook_id: id },
    });
    expect(await readWebhook(id)).toMatchObject({ status: "enabled", failures: 0, replayable: { deliveries: 0 } });
    expect(await post(`${at}/deliveries/${tested.id}/replay`)).toMatchObject({ status: 409 });
  });

  test("is refused to who sends them all the time, and to a project that abuses us, but not to the administrator", async () => {
    const received = receiver();
    const { api_key } = await makeProject("mine", { key: { name: "boss", scopes: ["admin"] } });
    const { id } = await makeWebhook("mine");
    const own = `/api/projects/mine/webhooks/${id}`;
    const tested = async (token = ADMIN_TOKEN) => (await call("POST", `${own}/test`, undefined, { token })).status;
    const answers = await Promise.all(Array.from({ length: 20 }, async () => tested()));
    expect(Map.groupBy(answers, String)).toEqual(Map.groupBy([...Array(10).fill(200), ...Array(10).fill(429)], String));
    expect(refusal(await post(`${own}/test`))).toEqual({ status: 429, code: "pace_exceeded" });
    await setClock("2031-05-14T14:04:11Z");
    await stop("mine", "abuse:ERROR_SPIKE");
    expect([await tested(api_key.key), await tested()]).toEqual([403, 200]);
    right(await patch(own, { enabled: false }));
    expect(refusal(await call("PATCH", own, { enabled: true }, { token: api_key.key }))).toEqual({
      status: 403,
      code: "project_suspended",
    });
    expect(received).toHaveLength(11);
    const asKey = async (method: string, path: string, body?: unknown) => refusal(await call(method, path, body, { token: api_key.key }));
    const stopped = { status: 403, code: "project_suspended" };
    expect(await asKey("PATCH", own, { url: "https://elsewhere.example/" })).toEqual(stopped);
    expect(await asKey("POST", "/api/projects/mine/webhooks", { url: "https://elsewhere.example/" })).toEqual(stopped);
    expect(await asKey("POST", `${own}/replay`, { since: "2031-05-14T00:00:00Z" })).toEqual(stopped);
    expect((await call("PATCH", own, { description: "Mine" }, { token: api_key.key })).status).toBe(200);
  });

  test("of an archived project is refused", async () => {
    const received = receiver();
    const { id } = await makeWebhook();
    right(await remove("/api/projects/shop"));
    expect(await post(`${at}/${id}/test`)).toMatchObject({ status: 409 });
    expect(received).toEqual([]);
  });
});

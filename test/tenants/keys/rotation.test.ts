/** The grace period after a rotation, its job, and keys created by the caller. */
import { crc32 } from "node:zlib";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { JobQueue } from "../../../worker/src/jobs/enqueue.ts";
import { ask, ended, read, until } from "../../jobs/support.ts";
import type { Job } from "../../jobs/support.ts";
import { postWith } from "../../routes/support.ts";
import { concurrently, freshStart, get, post, setClock, withTheirJobs } from "../../support/worker.ts";
import type { Answer } from "../../support/worker.ts";
import { ON, collector } from "../../telemetry/support.ts";
import { audit, rows } from "../../support/tenants/http.ts";
import { addKey, byWith, organization, statusText, countStatuses, tenant } from "../../support/tenants/keys.ts";
import type { Tenant } from "../../support/tenants/keys.ts";

interface Rotated extends Record<string, unknown> {
  readonly key: string | null;
  readonly job: { readonly id: string; readonly status: string } | null;
  readonly versions: { version: number; expires_at: string | null; last_used_at: string | null; uses_in_grace: number | null }[];
}

let shop: Tenant;

beforeEach(async () => {
  await freshStart();
  await organization("acme");
  shop = await tenant("shop", "acme", { key: { scopes: ["read", "admin"] } });
  withTheirJobs();
});
afterEach(() => void vi.restoreAllMocks());

const rotate = async (body?: object, key = shop): Promise<Answer<Rotated>> =>
  post<Rotated>(`/api/projects/shop/keys/${key.keyId}/rotate`, body);
const readKey = async (key = shop): Promise<Rotated> => (await get<Rotated>(`/api/projects/shop/keys/${key.keyId}`)).body;
const use = async (key: string) => byWith({}, key, "GET", "/api/authors/top");
const works = async (key: string): Promise<string> => statusText(await use(key));
const askRotation = async (payload: object): Promise<Job> => {
  const { status, body } = await post<Job>("/api/jobs", { type: "rotate_key", payload, project_id: "shop" });
  if (status !== 202) throw new Error(`${status} ${JSON.stringify(body)}`);
  return body;
};
const events = async () => rows("SELECT type, json(data) AS data FROM events ORDER BY seq");
const eventsOfType = async (type: string): Promise<unknown[]> =>
  (await events()).filter((row) => row["type"] === type).map(({ data }) => JSON.parse(String(data)) as unknown);
const sha256 = async (text: string): Promise<string> =>
  Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");

/** A key as the API's document describes its creation. */
function ownKey(id: string, secret = "s3cretOfMyOwn".padEnd(32, "0")): string {
  const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const body = `qc_live_${id}_${secret}`;
  let [sum, rest] = ["", crc32(body)];
  for (; sum.length < 6; rest = Math.floor(rest / 62)) sum = (digits[rest % 62] ?? "") + sum;
  return body + sum;
}

describe("the grace", () => {
  test("has a job that sleeps until its end and then reports the uses of the old version", async () => {
    const key = await addKey("shop", { scopes: ["read"], expires_at: "2031-05-14T14:03:13Z" });
    const { body } = await rotate({}, key);
    const id = body.job?.id ?? "";
    expect(await until(id, ({ status }) => status === "waiting")).toMatchObject({
      payload: { key_id: key.keyId, version: 2 },
      project_id: "shop",
    });
    await Promise.all([use(key.key), use(key.key), use(key.key), use(body.key ?? "")]);
    expect((await readKey(key)).versions.map(({ uses_in_grace }) => uses_in_grace)).toEqual([null, 3]);
    expect(await eventsOfType("key.grace_ended")).toEqual([]);
    await setClock("2031-05-14T14:03:14Z");
    const job = await ended(id);
    const end = { ended_at: "2031-05-14T14:03:13Z", last_used_at: "2031-05-14T14:03:11Z" };
    expect(job).toMatchObject({
      status: "completed",
      result: { project_id: "shop", key_id: key.keyId, version: 2, earlier: { version: 1, uses_in_grace: 3, ...end } },
    });
    expect(await eventsOfType("key.rotated")).toEqual([
      { project_id: "shop", key_id: key.keyId, version: 2, immediate: false, earlier_ends_at: "2031-05-14T14:03:13Z" },
    ]);
    expect(await eventsOfType("key.grace_ended")).toEqual([
      { project_id: "shop", key_id: key.keyId, version: 1, ended_by: "time", uses: 3, ...end },
    ]);
  });

  test("ends to the second even if the job never wakes, and housekeeping records it later", async () => {
    vi.spyOn(JobQueue.prototype, "enqueueRotateKeyJob").mockRejectedValueOnce(new Error("the index is unavailable"));
    const { status, body } = await rotate();
    expect({ status, job: body.job }).toEqual({
      status: 200,
      job: { id: expect.stringMatching(/^rotate_key-/u), status: null, href: expect.any(String) },
    });
    await setClock("2031-05-15T14:03:10.999Z");
    const last = await use(shop.key);
    expect([statusText(last), last.headers.get("x-api-key-expires")]).toEqual(["200", "2031-05-15T14:03:11Z"]);
    await setClock("2031-05-15T14:03:11Z");
    expect([await works(shop.key), await works(body.key ?? "")]).toEqual(["401 unauthorized", "200"]);
    const housekeeping = async () => (await ended((await ask()).body.id)).result as { resumed: unknown };
    await setClock("2031-05-15T15:00:00Z");
    expect((await housekeeping()).resumed).toEqual({ provisionings: 0, graces: 0 });
    await setClock("2031-05-15T15:04:00Z");
    expect((await housekeeping()).resumed).toEqual({ provisionings: 0, graces: 1 });
    const { jobs } = (await get<{ jobs: Job[] }>("/api/jobs?type=rotate_key")).body;
    expect((await ended(jobs[0]?.id ?? "")).result).toMatchObject({
      earlier: { version: 1, ended_at: "2031-05-15T14:03:11Z", uses_in_grace: 1 },
    });
    expect(await eventsOfType("key.grace_ended")).toMatchObject([{ version: 1, uses: 1, ended_by: "time" }]);
    expect((await housekeeping()).resumed).toEqual({ provisionings: 0, graces: 0 });
  });

  test("ended early is reported immediately, and the sleeping job adds nothing", async () => {
    const { body } = await rotate();
    await use(shop.key);
    await setClock("2031-05-14T15:00:00Z");
    await post(`/api/projects/shop/keys/${shop.keyId}/end-grace`);
    expect(await works(shop.key)).toBe("401 unauthorized");
    const end = [{ version: 1, ended_by: "request", ended_at: "2031-05-14T15:00:00Z", uses: 1 }];
    expect(await eventsOfType("key.grace_ended")).toMatchObject(end);
    expect(await read(body.job?.id ?? "")).toMatchObject({ status: "waiting" });
    // Result of the job when it wakes.
    await setClock("2031-05-15T14:03:11Z");
    const woken = await askRotation({ key_id: shop.keyId, version: 2 });
    expect((await ended(woken.id)).result).toMatchObject({ earlier: { version: 1, ended_at: "2031-05-14T15:00:00Z" } });
    expect(await eventsOfType("key.grace_ended")).toMatchObject(end);
  });

  test("of a revoked key is not ended", async () => {
    await rotate();
    await byWith({}, shop.key, "DELETE", `/api/projects/shop/keys/${shop.keyId}`);
    const woken = await askRotation({ key_id: shop.keyId, version: 2 });
    expect((await ended(woken.id)).result).toMatchObject({ earlier: { ended_at: "2031-05-14T14:03:11Z" } });
    await setClock("2031-05-16T00:00:00Z");
    await ended((await askRotation({ key_id: shop.keyId, version: 2 })).id);
    expect(await eventsOfType("key.grace_ended")).toEqual([]);
  });

  test("does not exist for a leaked secret: it ends immediately without a job, including an earlier one", async () => {
    const first = await rotate();
    const second = await rotate({ immediate: true });
    expect(second.body).toMatchObject({ job: null, versions: [{ version: 3, uses_in_grace: null }, { version: 2 }, { version: 1 }] });
    expect([await works(shop.key), await works(first.body.key ?? ""), await works(second.body.key ?? "")]).toEqual([
      "401 unauthorized",
      "401 unauthorized",
      "200",
    ]);
    expect(await eventsOfType("key.rotated")).toMatchObject([
      { version: 2, immediate: false },
      { version: 3, immediate: true },
    ]);
    expect(await eventsOfType("key.grace_ended")).toMatchObject([{ version: 1, ended_by: "request" }]);
  });

  test("has at most two active versions, and uses of the newest do not count", async () => {
    const { body } = await rotate();
    expect(statusText(await rotate())).toBe("409 conflict");
    await use(body.key ?? "");
    await use(shop.key);
    await use(shop.key);
    expect((await readKey()).versions.map(({ uses_in_grace }) => uses_in_grace)).toEqual([null, 2]);
    await setClock("2031-05-15T14:03:11Z");
    expect(statusText(await rotate())).toBe("200");
    // The rotation reports the ended grace period that it finds.
    expect(await eventsOfType("key.grace_ended")).toMatchObject([{ version: 1, ended_by: "time", ended_at: "2031-05-15T14:03:11Z" }]);
  });
});

describe("a retry adds nothing", () => {
  test("with its idempotency key: the same version and job, without the key, and 409 for another body", async () => {
    const first = await rotate({ idempotency_key: "monday" });
    const again = await rotate({ idempotency_key: "monday" });
    expect(again.body).toEqual({ ...first.body, key: null, job: { ...first.body.job, status: expect.any(String) } });
    expect(statusText(await rotate({ idempotency_key: "monday", immediate: true }))).toBe("409 conflict");
    expect(await rows("SELECT count(*) AS versions FROM api_key_versions WHERE key_id = ?", shop.keyId)).toEqual([{ versions: 2 }]);
    expect((await audit("project_id=shop")).filter(({ action }) => action === "key.rotate")).toHaveLength(1);
  });

  test("of ten concurrent clients with the same idempotency key, one gets the key", async () => {
    const answers = await concurrently(10, 10, async () => rotate({ idempotency_key: "monday" }));
    expect(countStatuses(answers)).toEqual({ "200": 10 });
    expect(answers.flatMap(({ body }) => body.key ?? [])).toHaveLength(1);
    expect(new Set(answers.map(({ body }) => body.job?.id)).size).toBe(1);
    expect(await eventsOfType("key.rotated")).toHaveLength(1);
  });
});

describe("a key created by the caller", () => {
  test("works as soon as its hash is known, without being sent before", async () => {
    const own = ownKey(shop.keyId);
    const hash = { new_key_sha256: await sha256(own) };
    expect(await works(own)).toBe("401 unauthorized");
    const { status, body } = await rotate(hash);
    expect({ status, key: body.key, versions: body.versions.length }).toEqual({ status: 200, key: null, versions: 2 });
    expect([await works(own), await works(shop.key)]).toEqual(["200", "200"]);
    expect((await audit("project_id=shop"))[0]?.after).toMatchObject({ version: 2, made_by: "caller" });
    // Sending it again is the same rotation. Another rotation is refused.
    expect(await rotate(hash)).toMatchObject({ status: 200, body: { versions: [{ version: 2 }, { version: 1 }] } });
    for (const more of [{ immediate: true }, { idempotency_key: "x" }])
      expect(statusText(await rotate({ ...hash, ...more }))).toBe("409 conflict");
    await rotate({ immediate: true });
    expect(statusText(await rotate(hash))).toBe("409 conflict");
    expect(await rotate({ new_key_sha256: await sha256(shop.key), immediate: true })).toMatchObject({
      status: 409,
      body: { detail: "`new_key_sha256` must be the hash of a new key. Version 1 has this hash already." },
    });
  });

  test("is refused with a wrong checksum, or with the id of another key", async () => {
    const right = ownKey(shop.keyId);
    const mistyped = `${right.slice(0, -1)}${right.endsWith("0") ? "1" : "0"}`;
    const foreign = ownKey("Aa00000000");
    const other = await addKey("shop", { scopes: ["read"] });
    await rotate({ new_key_sha256: await sha256(mistyped), immediate: true });
    await rotate({ new_key_sha256: await sha256(foreign), immediate: true }, other);
    expect((await use(mistyped)).body["detail"]).toBe("Malformed API key (checksum mismatch). Check for typos or missing characters.");
    expect((await use(foreign)).body["detail"]).toBe("Invalid API key.");
  });

  test.each(["A".repeat(64), "a".repeat(63), ""])(
    "is refused with the field's name if its hash is invalid (%j)",
    async (new_key_sha256) => {
      expect(await rotate({ new_key_sha256 })).toMatchObject({ status: 400, body: { errors: [{ path: "new_key_sha256" }] } });
    },
  );

  test("is used by a job once, however often it runs, and its hash is never returned", async () => {
    const own = ownKey(shop.keyId);
    const hash = await sha256(own);
    const { id } = await askRotation({ key_id: shop.keyId, new_key_sha256: hash });
    const job = await until(id, ({ status }) => status === "waiting");
    expect(job.payload).toEqual({ key_id: shop.keyId, new_key_sha256: "[redacted]" });
    expect([await works(own), await works(shop.key)]).toEqual(["200", "200"]);
    await rows("UPDATE jobs SET status = 'failed', ended_at = ? WHERE id = ?", Date.now(), id);
    const { body } = await post<Job>(`/api/jobs/${id}/retry`);
    await until(body.id, ({ status }) => status === "waiting");
    expect((await readKey()).versions).toHaveLength(2);
    expect(await eventsOfType("key.rotated")).toHaveLength(1);
    expect((await audit("subject=key:" + shop.keyId))[0]).toMatchObject({ actor: `job:${id}`, action: "key.rotate" });
    expect(JSON.stringify([await read(id), await read(body.id), await audit(), await events()])).not.toContain(hash);
    const leaked = await askRotation({
      key_id: shop.keyId,
      new_key_sha256: await sha256(ownKey(shop.keyId, "n".repeat(32))),
      immediate: true,
    });
    expect(await ended(leaked.id)).toMatchObject({ status: "completed", tries: 1 });
    expect([await works(own), await works(shop.key), await works(ownKey(shop.keyId, "n".repeat(32)))]).toEqual([
      "401 unauthorized",
      "401 unauthorized",
      "200",
    ]);
  });
});

describe("a job that rotates", () => {
  test.each([
    [{ key_id: "" }, /A job cannot show a new key/u],
    [{ key_id: "Aa00000000", new_key_sha256: "a".repeat(64) }, /The key "Aa00000000" does not exist/u],
    [{ key_id: "Aa00000000", version: 2 }, /The key "Aa00000000" does not exist/u],
  ])("%j fails clearly", async (payload, error) => {
    const { id } = await askRotation({ ...payload, key_id: payload.key_id || shop.keyId });
    expect(await ended(id)).toMatchObject({ status: "failed", error: expect.stringMatching(error) });
    expect((await readKey()).versions).toHaveLength(1);
  });

  test.each([{ new_key_sha256: "a".repeat(64) }, { immediate: true }])("is refused with a version and %j", async (more) => {
    const payload = { key_id: shop.keyId, version: 2, ...more };
    expect(await post("/api/jobs", { type: "rotate_key", payload })).toMatchObject({
      status: 400,
      body: { errors: [{ path: "payload.version" }] },
    });
  });
});

test("no secret is in the database, the log or a trace", async () => {
  const lines: string[] = [];
  for (const level of ["log", "warn", "error"] as const)
    vi.spyOn(console, level).mockImplementation((line: string) => void lines.push(line));
  const { bodies, spans } = collector();
  const path = `/api/projects/shop/keys/${shop.keyId}/rotate`;
  const minted = String((await postWith(ON, path, {})).body["key"]);
  const own = ownKey(shop.keyId);
  const digest = await sha256(own);
  await postWith(ON, path, { immediate: true, new_key_sha256: digest });
  for (const key of [shop.key, minted, own]) await byWith(ON, key, "GET", `/api/authors/top?limit=1&x=${key}`);
  const next = ownKey(shop.keyId, "z".repeat(32));
  await ended((await askRotation({ key_id: shop.keyId, new_key_sha256: await sha256(next), immediate: true })).id);
  await spans(4);
  const tables = await rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'");
  const stored = JSON.stringify(await Promise.all(tables.map(async ({ name }) => rows(`SELECT * FROM ${String(name)}`))));
  expect(stored).toContain(shop.keyId);
  const all = [stored, ...lines, ...bodies].join("\n");
  for (const key of [shop.key, minted, own, next]) expect(all).not.toContain(key.split("_")[3]);
  expect(all).not.toContain(digest);
  expect([...lines, ...bodies].join("\n")).not.toContain(await sha256(next));
  expect(env.KEY_PEPPER.length > 0 && !all.includes(env.KEY_PEPPER)).toBe(true);
});

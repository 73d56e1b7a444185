/** Limits for the keys and versions of a tenant. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { call, freshStart, post, setClock } from "../../support/worker.ts";
import { right, stop } from "../../support/tenants/http.ts";
import { addKey, by, organization, statusText, countStatuses, tenant } from "../../support/tenants/keys.ts";
import type { Tenant } from "../../support/tenants/keys.ts";

let shop: Tenant;

beforeEach(async () => {
  await freshStart();
  await organization("acme");
  shop = await tenant("shop", "acme", { key: { scopes: ["read", "enrich", "admin"] } });
});

const keys = "/api/projects/shop/keys";
/** A key cannot create one with more scopes than it has. */
const OWN = { scopes: ["admin"] };
const versions = async (): Promise<number[]> => {
  const sql = "SELECT version FROM api_key_versions WHERE key_id = ? ORDER BY version";
  return (await env.DB.prepare(sql).bind(shop.keyId).all<{ version: number }>()).results.map(({ version }) => version);
};

describe("a project has at most 20 active keys", () => {
  test("the next one is refused for its own key and the admin, until one is revoked or expires", async () => {
    const expiring = { expires_at: "2031-05-14T15:00:00Z" };
    const first = await addKey("shop");
    for (let n = 2; n <= 19; n += 1) await addKey("shop", n < 18 ? {} : expiring);
    for (const refused of [await post(keys, {}), await by(shop.key, "POST", keys, OWN)]) {
      expect(refused).toMatchObject({ status: 409, body: { code: "conflict", limit: 20 } });
      expect(refused.body["detail"]).toContain("20");
    }
    await tenant("other", "acme");
    right(await call("DELETE", `${keys}/${first.keyId}`));
    expect([statusText(await by(shop.key, "POST", keys, OWN)), statusText(await post(keys, {}))]).toEqual(["201", "409 conflict"]);
    await setClock("2031-05-14T15:00:00Z");
    expect([statusText(await post(keys, {})), statusText(await post(keys, {})), statusText(await post(keys, {}))]).toEqual([
      "201",
      "201",
      "409 conflict",
    ]);
  });

  test("also with many concurrent requests", async () => {
    for (let n = 1; n <= 16; n += 1) await addKey("shop");
    const answers = await Promise.all(Array.from({ length: 8 }, async () => post(keys, {})));
    expect(countStatuses(answers)["201"]).toBeLessThanOrEqual(3);
    for (let more = 0; more < 4; more += 1) answers.push(await post(keys, {}));
    expect(countStatuses(answers)).toEqual({ "201": 3, "409 conflict": 9 });
  });
});

describe("a project suspended for abuse", () => {
  const rotation = () => `${keys}/${shop.keyId}/rotate`;

  test("gets no new secrets with its own key, but can end existing ones, and the admin can do everything", async () => {
    const spare = await addKey("shop");
    right(await post(rotation()));
    await stop("shop", "abuse:ERROR_SPIKE");
    for (const path of [keys, rotation()]) {
      const refused = await by(shop.key, "POST", path, path === keys ? OWN : {});
      expect(refused).toMatchObject({ status: 403, body: { code: "project_suspended", reasons: [{ reason: "abuse:ERROR_SPIKE" }] } });
      expect(statusText(await by(shop.key, "POST", path, path === keys ? OWN : { immediate: true }))).toBe("403 project_suspended");
    }
    expect(statusText(await by(shop.key, "DELETE", `${keys}/${spare.keyId}`))).toBe("200");
    expect([statusText(await post(keys, {})), statusText(await post(rotation(), { immediate: true }))]).toEqual(["201", "200"]);
  });

  test.each(["admin", "quota:db_queries_per_day"])("and one suspended for %s can replace a leaked secret", async (reason) => {
    await stop("shop", reason);
    expect(statusText(await by(shop.key, "POST", keys, OWN))).toBe("201");
    expect(statusText(await by(shop.key, "POST", rotation(), { immediate: true }))).toBe("200");
  });
});

describe("a key that is rotated repeatedly", () => {
  test("keeps ten expired versions, and explains refusals of those", async () => {
    const rotate = async (immediate: boolean) =>
      right(await post<{ key: string; versions: { version: number }[] }>(`${keys}/${shop.keyId}/rotate`, { immediate }));
    let latest = await rotate(true);
    for (let n = 3; n <= 14; n += 1) latest = await rotate(true);
    const kept = [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14];
    expect([await versions(), latest.versions.map(({ version }) => version).toReversed()]).toEqual([kept, kept]);

    const fifteenth = await rotate(false);
    expect([await versions(), fifteenth.versions.map(({ version }) => version).toReversed()]).toEqual([
      [...kept, 15],
      [...kept, 15],
    ]);
    for (const { key } of [latest, fifteenth]) expect(statusText(await by(key, "GET", "/api/authors/top"))).toBe("200");
    const detailOf = async (key: string) => String((await by(key, "GET", "/api/authors/top")).body["detail"]);
    expect(await detailOf(shop.key)).toBe("Invalid API key.");
  });
});

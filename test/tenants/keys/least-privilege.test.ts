/** A key cannot create or take over a key that may do more or works longer. Generated from all scopes and expiries. */
import { assert, asyncProperty, constantFrom, option, record, subarray } from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { SCOPES } from "../../../worker/src/store/keys/api-keys.ts";
import { makeOrganization, makeProject, remove } from "../../support/tenants/http.ts";
import { freshStart, get, post } from "../../support/worker.ts";

const END = "2031-06-01T00:00:00Z";
const EXPIRIES = ["2031-05-20T00:00:00Z", END, "2031-07-01T00:00:00Z"] as const;

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  await makeProject("shop");
});

interface Made {
  readonly id: string;
  readonly key: string;
}

interface Wanted {
  readonly scopes: readonly string[];
  readonly expires_at: string | null;
}

const make = async (wanted: object, token?: string) =>
  post<Made>("/api/projects/shop/keys", { name: "a", ...wanted }, token === undefined ? {} : { token });

const anyKey = record<Wanted>({
  scopes: subarray([...SCOPES], { minLength: 1 }),
  expires_at: option(constantFrom(...EXPIRIES)),
});

/** Written from the contract, without code of the product. */
const isWithin = (wanted: Wanted, own: Wanted): boolean =>
  wanted.scopes.every((scope) => own.scopes.includes(scope)) &&
  (own.expires_at === null || (wanted.expires_at !== null && wanted.expires_at <= own.expires_at));

test("creates and rotates exactly the keys that grant no more", async () => {
  await assert(
    asyncProperty(anyKey, anyKey, async (first, wanted) => {
      const own = { ...first, scopes: [...new Set([...first.scopes, "admin"])] };
      const [mine, other] = [(await make(own)).body, (await make(wanted)).body];
      const allowed = isWithin(wanted, own);
      const created = await make(wanted, mine.key);
      const rotated = await post<{ key: string | null }>(
        `/api/projects/shop/keys/${other.id}/rotate`,
        { immediate: true },
        { token: mine.key },
      );
      expect([created.status, rotated.status]).toEqual(allowed ? [201, 200] : [403, 403]);
      const itself = await post(`/api/projects/shop/keys/${mine.id}/rotate`, { immediate: true }, { token: mine.key });
      expect(itself.status).toBe(200);
      const ids = (await get<{ keys: { id: string }[] }>("/api/projects/shop/keys")).body.keys.map(({ id }) => id);
      for (const id of ids) await remove(`/api/projects/shop/keys/${id}`);
    }),
    { seed: 20, numRuns: 25 },
  );
});

describe("the refusal", () => {
  test("names the scopes of the key", async () => {
    const { key } = (await make({ scopes: ["admin"], expires_at: END })).body;
    expect(await make({ scopes: ["admin", "database"], expires_at: END }, key)).toMatchObject({
      status: 403,
      body: { code: "forbidden", errors: [{ path: "scopes", message: "must only contain scopes of your key: admin" }] },
    });
  });

  test("names the expiry of the key", async () => {
    const { key } = (await make({ scopes: ["admin"], expires_at: END })).body;
    for (const given of [{ expires_at: null }, { expires_at: "2031-06-01T00:00:01Z" }]) {
      const { status, body } = await make({ scopes: ["admin"], ...given }, key);
      expect({ status, detail: (body as unknown as { detail: string }).detail }).toMatchObject({
        status: 403,
        detail: expect.stringContaining("`expires_at` must be at most 2031-06-01T00:00:00Z, when your key expires") as string,
      });
    }
  });
});

test("by default, a new key has the creating key's part of the default scopes, and its expiry", async () => {
  const { key } = (await make({ scopes: ["admin", "read"], expires_at: END })).body;
  expect(await make({}, key)).toMatchObject({ status: 201, body: { scopes: ["read"], expires_at: END } });
  const narrow = (await make({ scopes: ["admin"] })).body.key;
  expect(await make({}, narrow)).toMatchObject({ status: 201, body: { scopes: ["admin"], expires_at: null } });
});

test("a key of an archived project or organization reads, and changes nothing", async () => {
  const { key } = (await make({ scopes: ["read", "admin"] })).body;
  const webhook = { url: "https://receiver.example/hook" };
  const tries = async () => {
    const changes = [
      await make({ scopes: ["read"] }, key),
      await post("/api/projects/shop/webhooks", webhook, { token: key }),
      await post("/api/projects/shop/backups", {}, { token: key }),
    ];
    const read = await get("/api/projects/shop", { token: key });
    return [...changes.map(({ status }) => status), read.status];
  };
  await remove("/api/projects/shop");
  expect(await tries()).toEqual([403, 403, 403, 200]);
});

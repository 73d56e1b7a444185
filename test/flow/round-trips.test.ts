/** Counts the round trips to the ledger, D1 and KV before an answer. From far away, each takes a tenth of a second. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { createDeps } from "../../worker/src/deps.ts";
import { callWith } from "../routes/support.ts";
import { ADMIN_TOKEN, freshLedger, isbns, post, put, rereadMoves } from "../support/worker.ts";
import { makeOrganization, makeProject } from "../support/tenants/http.ts";

const ASYNCHRONOUS = new Set(["first", "all", "run", "raw"]);

/** Bindings that record the start of each round trip, and delay those to the ledger until `pass`. */
function watched(pass: (method: string) => Promise<void> = async () => undefined) {
  const trips: string[] = [];
  const noting = <Binding extends object>(
    binding: Binding,
    of: (name: string, call: (...given: unknown[]) => unknown) => unknown,
  ): Binding =>
    new Proxy(binding, {
      get: (target, name: string) => {
        const member: unknown = Reflect.get(target, name);
        return typeof member === "function" ? of(name, (...given) => Reflect.apply(member, target, given) as unknown) : member;
      },
    });
  const noted =
    (trip: string, call: (...given: unknown[]) => unknown) =>
    (...given: unknown[]) => {
      trips.push(trip);
      return call(...given);
    };

  const stub = noting(env.QUOTA_LEDGER.getByName("isbndb"), (name, call) => async (...given: unknown[]) => {
    trips.push(`ledger ${name}`);
    await pass(name);
    return call(...given);
  });
  const own = new WeakMap<object, D1PreparedStatement>();
  const statement = (of: D1PreparedStatement): D1PreparedStatement => {
    const proxy = noting(of, (name, call) => {
      if (name === "bind") return (...values: unknown[]) => statement(call(...values) as D1PreparedStatement);
      return ASYNCHRONOUS.has(name) ? noted("D1", call) : call;
    });
    own.set(proxy, of);
    return proxy;
  };
  const database = (binding: D1Database) =>
    noting(binding, (name, call) => {
      if (name === "prepare") return (sql: unknown) => statement(call(sql) as D1PreparedStatement);
      const batch = noted("D1", call);
      return name === "batch" ? (list: D1PreparedStatement[]) => batch(list.map((each) => own.get(each))) : call;
    });
  const bindings = {
    QUOTA_LEDGER: { getByName: () => stub },
    QUOTA_KV: noting(env.QUOTA_KV, (_, call) => noted("KV", call)),
    DB: database(env.DB),
    CATALOG: database(env.CATALOG),
  };
  return { trips, bindings };
}

/** Round trips that were started before the answer, for a request with the expected status. */
async function tripsOf(status: number, path: string, body: unknown, token = ADMIN_TOKEN): Promise<string[]> {
  const { trips, bindings } = watched();
  // A new binding begins without knowledge.
  await rereadMoves(bindings.CATALOG);
  trips.length = 0;
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const reply = await callWith(bindings, path, { method: "POST", headers, body: JSON.stringify(body) });
  expect({ status: reply.status, body: reply.body }).toMatchObject({ status });
  return trips;
}

beforeEach(async () => freshLedger());

describe("an answer waits for", () => {
  test("the ledger once to reserve calls", async () => {
    expect(await tripsOf(201, "/api/quota/reservations", { calls: 1 })).toEqual(["ledger reserve"]);
  });

  test("the ledger once to charge or release them", async () => {
    await post("/api/quota/reservations", { calls: 1, id: "mine" });
    expect(await tripsOf(200, "/api/quota/reservations/mine/commit", {})).toEqual(["ledger commit"]);
  });

  test("nothing if the day is known to be exhausted", async () => {
    await put("/api/quota/usage", { used: 1 });
    const { trips, bindings } = watched();
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
    const statusOf = async () =>
      (await callWith(bindings, "/api/quota/reservations", { method: "POST", headers, body: '{"calls":13000}' })).status;
    expect([await statusOf(), await statusOf(), await statusOf()]).toEqual([429, 429, 429]);
    expect(trips).toEqual(["ledger reserve"]);
  });

  test("D1 once if the catalog has the whole batch, and the ledger once for the quota in the answer", async () => {
    const wanted = { isbns: isbns(1, 1_000) };
    await post("/api/enrich/batch-direct", wanted);
    expect(await tripsOf(200, "/api/enrich/batch-direct", wanted)).toEqual(["D1", "ledger status"]);
  });

  test("D1 once before the work of a project's request", async () => {
    await makeOrganization("org");
    const { api_key } = await makeProject("mine");
    const wanted = { isbns: isbns(1, 3) };
    await post("/api/enrich/batch-direct", wanted);
    const trips = await tripsOf(200, "/api/enrich/batch-direct", wanted, api_key.key);
    // The second statement reads the catalog. The key's last use and the minute's requests are written in the background.
    expect(trips.slice(0, 2)).toEqual(["D1", "D1"]);
    expect(trips.filter((trip) => trip !== "D1")).toEqual(["ledger status"]);
  });
});

test("a call is charged while its answer is still being read", async () => {
  let commitStarted = (): void => undefined;
  const started = new Promise<void>((resolve) => (commitStarted = resolve));
  const { trips, bindings } = watched(async (method) => {
    if (method === "commit") commitStarted();
  });
  const { quota } = createDeps({ ...env, ...bindings } as unknown as Env, () => Date.now());
  const done = await quota.withQuota({ cost: { calls: 1 }, caller: "test", priority: "interactive" }, async ({ settle }) => {
    const underWay = { from: Date.now(), to: Date.now() };
    settle({ sent: "yes", underWay, delivered: true, report: null, signal: "none", retryAfterSeconds: null });
    // The rest of the answer arrives only after the commit was sent. A commit that waited for it would never end.
    await started;
    return "the rest";
  });
  expect(done).toMatchObject({ result: "done", value: "the rest", charged: 1 });
  expect(trips).toEqual(["ledger reserve", "ledger commit"]);
});

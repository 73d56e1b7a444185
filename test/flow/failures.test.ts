import { createExecutionContext, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import worker, { QuotaLedger } from "../../worker/src/index.ts";
import {
  ADMIN_TOKEN,
  emptyLedger,
  freshStart,
  get,
  isbnNumber,
  ledger,
  post,
  put,
  quotaStatus,
  setClock,
  simulator,
} from "../support/worker.ts";

beforeEach(async () => {
  vi.restoreAllMocks();
  await freshStart();
  return () => vi.restoreAllMocks();
});

const one = async (n: number) => post("/api/enrich/batch-direct", { isbns: [isbnNumber(n)] });
const publish = async () => runDurableObjectAlarm(ledger());
const pass = (seconds: number): void => void vi.setSystemTime(Date.now() + seconds * 1_000);

/** Makes every method of the ledger fail. */
function failLedger(): void {
  for (const name of [
    "reserve",
    "commit",
    "release",
    "check",
    "status",
    "changeSettings",
    "history",
    "setUsage",
    "reset",
    "add",
  ] as const) {
    vi.spyOn(QuotaLedger.prototype, name).mockRejectedValue(new Error("ledger is unavailable"));
  }
}

/** A KV that refuses everything, for one request. The ledger's own KV is mocked separately. */
function brokenKv(): KVNamespace {
  const refuse = async () => Promise.reject(new Error("KV PUT failed: 429 Too Many Requests"));
  return { get: refuse, put: refuse } as unknown as KVNamespace;
}

async function callWith(bindings: Partial<typeof env>, method: string, path: string, body?: unknown) {
  const request = new Request(`http://coordinator.test${path}`, {
    method,
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const response = await worker.fetch(request, { ...env, ...bindings }, createExecutionContext());
  return { status: response.status, headers: response.headers, body: await response.json<Record<string, unknown>>() };
}

/** The real ledger, with the first answer of one method lost. */
function losingAnswers(method: "reserve" | "commit", flags: object = { retryable: true }) {
  let calls = 0;
  const lossy = (stub: object) =>
    new Proxy(stub, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (name !== method || typeof member !== "function") return member;
        return async (...args: unknown[]) => {
          calls += 1;
          const answer: unknown = await Reflect.apply(member, target, args);
          if (calls === 1) throw Object.assign(new Error("Network connection lost."), flags);
          return answer;
        };
      },
    });
  const namespace = { getByName: (name: string) => lossy(env.QUOTA_LEDGER.getByName(name)) };
  return { namespace: namespace as unknown as typeof env.QUOTA_LEDGER, calls: () => calls };
}

describe("with the ledger failing", () => {
  test("enrichment answers 503, the provider gets no request, and status comes from the snapshot", async () => {
    await one(1);
    pass(6);
    await publish();
    pass(30);
    const before = await simulator.state();
    failLedger();
    const { status, headers, body } = await one(2);
    expect({ status, wait: headers.get("retry-after"), body }).toMatchObject({
      status: 503,
      wait: "5",
      body: { code: "quota_unavailable" },
    });
    expect(await simulator.state()).toMatchObject({ requests: before.requests });
    expect(await quotaStatus()).toMatchObject({ source: "snapshot", used: 1, age_seconds: 30, can_make_calls: false });
    for (const path of ["/api/authors/enrich-bibliography", "/api/books/enrich-new-releases", "/api/quota/reservations"]) {
      const bodies = { author_name: "A", start_month: "2031-01", end_month: "2031-01", calls: 1 };
      const request = path.includes("author")
        ? { author_name: bodies.author_name }
        : path.includes("books")
          ? { start_month: "2031-01", end_month: "2031-01" }
          : { calls: 1 };
      expect(await post(path, request)).toMatchObject({ status: 503, body: { code: "quota_unavailable" } });
    }
    expect((await get("/health")).status).toBe(503);
  });

  test("status answers 503 without a snapshot", async () => {
    failLedger();
    expect(await get("/api/quota/status")).toMatchObject({ status: 503, body: { code: "quota_unavailable" } });
  });

  test("books in the catalog are still served", async () => {
    await one(1);
    failLedger();
    expect(await one(1)).toMatchObject({ status: 200, body: { cached: 1, api_calls: 0 } });
  });

  test("a failed commit leaves the reservation, which is charged when it expires", async () => {
    const commit = vi.spyOn(QuotaLedger.prototype, "commit").mockRejectedValue(new Error("ledger is unavailable"));
    expect(await one(1)).toMatchObject({ status: 200, body: { api_calls: 1 } });
    commit.mockRestore();
    expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 1 });
    pass(121);
    expect(await quotaStatus()).toMatchObject({ used: 1, reserved: 0 });
  });

  test.each(["reserve", "commit"] as const)("a lost answer to %s is retried with the same id and counted once", async (method) => {
    const { namespace, calls } = losingAnswers(method);
    const answer = await callWith({ QUOTA_LEDGER: namespace }, "POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(1)] });
    expect(answer).toMatchObject({ status: 200, body: { api_calls: 1 } });
    expect(calls()).toBe(2);
    expect(await quotaStatus()).toMatchObject({ used: 1, reserved: 0 });
  });

  test("an overloaded ledger is not retried", async () => {
    const { namespace, calls } = losingAnswers("reserve", { overloaded: true, retryable: true });
    expect(await callWith({ QUOTA_LEDGER: namespace }, "POST", "/api/quota/reservations", { calls: 1 })).toMatchObject({ status: 503 });
    expect(calls()).toBe(1);
  });

  test("an error inside a decision rolls it back", async () => {
    await quotaStatus();
    await runInDurableObject(ledger(), async (instance, state) => {
      state.storage.sql.exec("CREATE TRIGGER broken BEFORE INSERT ON reservations BEGIN SELECT RAISE(ABORT, 'disk'); END");
      await expect(instance.reserve({ id: "a", cost: { calls: 5 }, caller: "x", priority: "interactive" }, null)).rejects.toThrow("disk");
      state.storage.sql.exec("DROP TRIGGER broken");
    });
    expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 0 });
  });
});

describe("a lost answer", () => {
  test("to a reset is retried, and calls spent since the reset stay counted", async () => {
    await put("/api/quota/usage", { used: 70 });
    const operation = { id: "reset-1", actor: "admin" };
    await ledger().reset(operation, null);
    await one(1);
    expect(await ledger().reset(operation, null)).toMatchObject({ used: 1 });
    await ledger().setUsage(40, { id: "set-1", actor: "admin" }, null);
    await one(2);
    expect(await ledger().setUsage(40, { id: "set-1", actor: "admin" }, null)).toMatchObject({ used: 41 });
  });

  test("to a reservation leaves nothing reserved, because nothing was sent", async () => {
    const { namespace } = losingAnswers("reserve", {});
    expect(await callWith({ QUOTA_LEDGER: namespace }, "POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(1)] })).toMatchObject({
      status: 503,
    });
    await vi.waitFor(async () => expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 0 }));
  });

  test("to an abandoned reservation: the late request grants nothing", async () => {
    await ledger().abandon("late");
    expect(await ledger().reserve({ id: "late", cost: { calls: 1 }, caller: "x", priority: "interactive" }, null)).toMatchObject({
      result: "conflict",
    });
  });
});

describe("a failure inside the ledger", () => {
  test("rolls back settings that could not be audited, in memory too", async () => {
    await quotaStatus();
    await runInDurableObject(ledger(), async (instance, state) => {
      state.storage.sql.exec("CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk'); END");
      const change = instance.changeSettings({ dailyLimit: 50_000 }, { id: "a", actor: "x" }, null);
      await expect(change).rejects.toThrow("disk");
      state.storage.sql.exec("DROP TRIGGER broken");
    });
    expect(await quotaStatus()).toMatchObject({ daily_limit: 15_000 });
  });

  test("lets the next request set an alarm that could not be set", async () => {
    await runInDurableObject(ledger(), async (_, state) => state.storage.deleteAlarm());
    await evictDurableObject(ledger());
    await runInDurableObject(ledger(), async (instance, state) => {
      vi.spyOn(state.storage, "setAlarm").mockRejectedValueOnce(new Error("disk"));
      await instance.reserve({ id: "a", cost: { calls: 1 }, caller: "x", priority: "interactive", ttlSeconds: 1 }, null);
      await new Promise((resolve) => setTimeout(resolve, 20));
      await instance.reserve({ id: "b", cost: { calls: 1 }, caller: "x", priority: "interactive", ttlSeconds: 1 }, null);
      expect(await state.storage.getAlarm()).not.toBeNull();
    });
  });
});

describe("enforcement off", () => {
  test("applies immediately, survives a failing ledger, and ends when it is enforced again", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    expect((await one(1)).status).toBe(429);
    await put("/api/quota/settings", { enforcement: "off" });
    expect((await one(2)).status).toBe(200);
    expect(await quotaStatus()).toMatchObject({ used: 13_001, enforcement: "off", can_make_calls: true });
    failLedger();
    expect(await one(3)).toMatchObject({ status: 200, body: { api_calls: 1 } });
    vi.restoreAllMocks();
    await put("/api/quota/settings", { enforcement: "enforce" });
    expect((await one(4)).status).toBe(429);
    failLedger();
    expect((await one(5)).status).toBe(503);
  });

  test("can be changed while the ledger fails, and the ledger follows later", async () => {
    failLedger();
    expect((await one(1)).status).toBe(503);
    const off = await put("/api/quota/settings", { enforcement: "off" });
    expect(off).toMatchObject({ status: 200, body: { applied_to: "switch", enforcement: "off" } });
    expect((await one(1)).status).toBe(200);
    expect((await put("/api/quota/settings", { daily_limit: 5 })).status).toBe(503);
    vi.restoreAllMocks();
    await one(2);
    expect(await quotaStatus()).toMatchObject({ enforcement: "off" });
    failLedger();
    await put("/api/quota/settings", { enforcement: "enforce" });
    expect((await one(3)).status).toBe(503);
    vi.restoreAllMocks();
    pass(6);
    await publish();
    expect(await quotaStatus()).toMatchObject({ enforcement: "enforce" });
  });

  test("an instance without the switch in memory reads it from KV if the ledger is unavailable", async () => {
    await put("/api/quota/settings", { enforcement: "off" });
    pass(6);
    await publish();
    failLedger();
    const otherKv = { get: env.QUOTA_KV.get.bind(env.QUOTA_KV) } as unknown as KVNamespace;
    expect(await callWith({ QUOTA_KV: otherKv }, "POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(1)] })).toMatchObject({
      status: 200,
    });
  });

  test("an older value of the switch never replaces a newer one", async () => {
    await put("/api/quota/settings", { enforcement: "off" });
    const older = { value: "enforce", changedAt: 1 } as const;
    await ledger().reserve({ id: "a", cost: { calls: 1 }, caller: "x", priority: "interactive" }, older);
    expect(await quotaStatus()).toMatchObject({ enforcement: "off" });
    pass(11);
    failLedger();
    const stale = { overrides: {}, enforcement: older };
    vi.spyOn(env.QUOTA_KV, "get").mockImplementation((async () => stale) as unknown as typeof env.QUOTA_KV.get);
    expect((await one(1)).status).toBe(200);
  });

  test("an operator's change is newer than every cached value", async () => {
    failLedger();
    vi.setSystemTime(Date.now() + 5_000);
    await put("/api/quota/settings", { enforcement: "off" });
    vi.restoreAllMocks();
    vi.setSystemTime(Date.now() - 5_000);
    await put("/api/quota/settings", { enforcement: "enforce" });
    await one(1);
    expect(await quotaStatus()).toMatchObject({ enforcement: "enforce" });
  });

  test("observe grants requests beyond the pace and counts them", async () => {
    await put("/api/quota/settings", { enforcement: "observe", rate_per_second: 1 });
    for (let index = 0; index < 14; index += 1) expect((await post("/api/quota/reservations", { calls: 1 })).status).toBe(201);
    expect((await get<{ days: unknown[] }>("/api/quota/history")).body.days).toMatchObject([{ would_refuse: 4 }]);
  });

  test("observe counts and refuses nothing", async () => {
    await put("/api/quota/usage", { used: 13_000 });
    await put("/api/quota/settings", { enforcement: "observe" });
    expect((await one(1)).status).toBe(200);
    expect(await quotaStatus()).toMatchObject({ used: 13_001, enforcement: "observe" });
    expect((await get<{ days: unknown[] }>("/api/quota/history")).body.days).toMatchObject([{ would_refuse: 1, refused: 0 }]);
  });
});

describe("with KV failing", () => {
  test("everything works except the snapshot", async () => {
    const broken = { QUOTA_KV: brokenKv() };
    expect(await callWith(broken, "POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(1)] })).toMatchObject({ status: 200 });
    expect(await callWith(broken, "GET", "/api/quota/status?fresh=false")).toMatchObject({
      status: 200,
      body: { source: "ledger", used: 1 },
    });
    expect(await callWith(broken, "PUT", "/api/quota/settings", { background_floor: 10 })).toMatchObject({ status: 200 });
  });

  test("the ledger continues, and publishes when KV is back", async () => {
    const put = vi.spyOn(env.QUOTA_KV, "put").mockRejectedValue(new Error("KV PUT failed: 429"));
    await one(1);
    pass(6);
    await publish();
    expect(await quotaStatus()).toMatchObject({ used: 1, source: "ledger" });
    put.mockRestore();
    pass(6);
    await publish();
    expect((await get("/api/quota/status?fresh=false")).body).toMatchObject({ source: "snapshot", used: 1 });
  });

  test("a switch in KV that cannot be read is not overwritten", async () => {
    await put("/api/quota/settings", { background_floor: 7 });
    const later = { overrides: {}, enforcement: { value: "off", changedAt: Date.now() + 60_000 } };
    await env.QUOTA_KV.put("settings:isbndb", JSON.stringify(later));
    vi.spyOn(env.QUOTA_KV, "get").mockRejectedValue(new Error("KV GET failed"));
    pass(6);
    await publish();
    vi.restoreAllMocks();
    expect(await env.QUOTA_KV.get("settings:isbndb", "json")).toEqual(later);
    pass(61);
    await publish();
    expect(await quotaStatus()).toMatchObject({ enforcement: "off", background: { floor: 3 } });
  });

  test("a KV that hangs delays no request for long", async () => {
    await one(1);
    pass(6);
    await publish();
    failLedger();
    const hang = async () => new Promise<never>(() => undefined);
    const hanging = { get: hang, put: hang } as unknown as KVNamespace;
    expect(await callWith({ QUOTA_KV: hanging }, "GET", "/api/quota/status")).toMatchObject({ status: 503 });
    expect(await callWith({ QUOTA_KV: hanging }, "POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(2)] })).toMatchObject({
      status: 503,
    });
  });

  test("each key is written at most once a second", async () => {
    const writes: { key: string; at: number }[] = [];
    const real = env.QUOTA_KV.put.bind(env.QUOTA_KV);
    await runInDurableObject(ledger(), () => {
      vi.spyOn(env.QUOTA_KV, "put").mockImplementation(async (key: string, value: unknown) => {
        writes.push({ key, at: Date.now() });
        await real(key, String(value));
      });
    });
    for (let round = 0; round < 40; round += 1) {
      await put("/api/quota/settings", { background_floor: round });
      await post("/api/quota/reservations", { calls: 1 });
      pass(0.25);
      await publish();
    }
    const pauses = writes.map(({ key, at }, index) => at - (writes.slice(0, index).findLast((write) => write.key === key)?.at ?? 0));
    expect(writes.length).toBeGreaterThan(5);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(1_000);
  });
});

describe("a ledger without data", () => {
  test("continues from the snapshot: reserved calls count as spent, settings and price are restored", async () => {
    await put("/api/quota/settings", { daily_limit: 14_000 });
    await one(1);
    await post("/api/quota/reservations", { calls: 40, caller: "x" });
    pass(6);
    await publish();
    await emptyLedger();
    expect(await quotaStatus()).toMatchObject({
      used: 41,
      reserved: 0,
      daily_limit: 14_000,
      recovered: true,
      callers: [
        { caller: "x", used: 40 },
        { caller: "enrich.batch", used: 1 },
      ],
    });
  });

  test("takes the provider's count if it is higher", async () => {
    await one(1);
    pass(6);
    await publish();
    await simulator.control("POST", "/spend", { calls: 500 });
    await emptyLedger();
    expect(await quotaStatus()).toMatchObject({ used: 501, recovered: true, upstream: { untracked: 500 } });
  });

  test("does not treat an unreadable snapshot as zero", async () => {
    await put("/api/quota/usage", { used: 12_000 });
    await env.QUOTA_KV.put("snapshot:isbndb", JSON.stringify({ version: 99 }));
    await emptyLedger();
    await simulator.control("POST", "/faults", { kind: "status", status: 500, path: "/key", times: 1 });
    expect((await post("/api/quota/reservations", { calls: 1 })).status).toBe(503);
  });

  test("does not start with wrong limits if KV returned only a part", async () => {
    await put("/api/quota/settings", { daily_limit: 3_000 });
    pass(6);
    await publish();
    await emptyLedger();
    const read = env.QUOTA_KV.get.bind(env.QUOTA_KV) as unknown as (key: string, type: string) => Promise<unknown>;
    const half = {
      get: async (key: string, type: string) => (key.startsWith("settings") ? Promise.reject(new Error("KV GET failed")) : read(key, type)),
    } as unknown as KVNamespace;
    expect((await callWith({ QUOTA_KV: half }, "POST", "/api/quota/reservations", { calls: 1 })).status).toBe(503);
    expect(await quotaStatus()).toMatchObject({ daily_limit: 3_000 });
  });

  test("started without KV, takes the limits from KV later and overwrites nothing", async () => {
    await put("/api/quota/settings", { daily_limit: 3_000 });
    pass(6);
    await publish();
    await emptyLedger();
    expect(await callWith({ QUOTA_KV: brokenKv() }, "POST", "/api/quota/reservations", { calls: 1 })).toMatchObject({ status: 201 });
    pass(6);
    await publish();
    expect(await quotaStatus()).toMatchObject({ daily_limit: 3_000 });
    expect(await env.QUOTA_KV.get("settings:isbndb", "json")).toMatchObject({ overrides: { dailyLimit: 3_000 } });
  });

  test("started without KV, keeps changes by operators until KV answers", async () => {
    await put("/api/quota/settings", { daily_limit: 3_000, safety_buffer: 100 });
    pass(6);
    await publish();
    await emptyLedger();
    await callWith({ QUOTA_KV: brokenKv() }, "POST", "/api/quota/reservations", { calls: 1 });
    const reads = vi.spyOn(env.QUOTA_KV, "get").mockRejectedValue(new Error("KV GET failed"));
    await publish();
    await runInDurableObject(ledger(), async (_, state) => expect(await state.storage.getAlarm()).toBeGreaterThan(Date.now() + 4_000));
    await put("/api/quota/settings", { safety_buffer: 5_000 });
    reads.mockRestore();
    pass(61);
    await publish();
    expect(await quotaStatus()).toMatchObject({ daily_limit: 15_000, safety_limit: 10_000 });
    await callWith({}, "DELETE", "/api/quota/settings");
    pass(61);
    await publish();
    expect(await quotaStatus()).toMatchObject({ daily_limit: 15_000, safety_limit: 13_000 });
  });

  test("just after midnight counts yesterday's open reservations", async () => {
    await setClock("2031-05-14T23:59:50Z");
    await post("/api/quota/reservations", { calls: 40 });
    await publish();
    await emptyLedger();
    await setClock("2031-05-15T00:00:30Z");
    expect(await quotaStatus()).toMatchObject({ date: "2031-05-15", used: 40, callers: [{ caller: "api", used: 40 }] });
  });

  test("just after midnight, without KV, ignores a count that may be yesterday's", async () => {
    await setClock("2031-05-15T00:01:00Z");
    await emptyLedger();
    expect((await callWith({ QUOTA_KV: brokenKv() }, "POST", "/api/quota/reservations", { calls: 1 })).status).toBe(503);
  });

  test("ignores yesterday's snapshot", async () => {
    await put("/api/quota/usage", { used: 9_000 });
    pass(6);
    await publish();
    pass(86_400);
    await emptyLedger();
    expect(await quotaStatus()).toMatchObject({ used: 0 });
  });

  test("uses the provider's count if KV fails, and decides nothing without it", async () => {
    await one(1);
    await emptyLedger();
    await simulator.control("POST", "/faults", { kind: "status", status: 500, path: "/key", times: 1 });
    const broken = { QUOTA_KV: brokenKv() };
    expect(await callWith(broken, "POST", "/api/quota/reservations", { calls: 1 })).toMatchObject({
      status: 503,
      body: { code: "quota_unavailable" },
    });
    expect(await callWith(broken, "POST", "/api/quota/reservations", { calls: 1 })).toMatchObject({
      status: 201,
      body: { quota: { used: 1 } },
    });
  });

  test("keeps an operator's reset", async () => {
    await simulator.control("POST", "/spend", { calls: 5_000 });
    await one(1);
    await post("/api/quota/reset");
    pass(6);
    await publish();
    await emptyLedger();
    expect(await quotaStatus()).toMatchObject({ used: 0 });
  });
});

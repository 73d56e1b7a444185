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

/** The ledger fails in every entry method. */
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
    vi.spyOn(QuotaLedger.prototype, name).mockRejectedValue(new Error("ledger is away"));
  }
}

/** One request with KV replaced by one that refuses everything. The ledger's own KV is mocked apart. */
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

/** The real ledger, but the first answer of one method is lost on its way back, as the platform reports it. */
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
  test("enrichment answers 503, the provider sees nothing, and status answers from the snapshot", async () => {
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
      const asked = path.includes("author")
        ? { author_name: bodies.author_name }
        : path.includes("books")
          ? { start_month: "2031-01", end_month: "2031-01" }
          : { calls: 1 };
      expect(await post(path, asked)).toMatchObject({ status: 503, body: { code: "quota_unavailable" } });
    }
    expect((await get("/health")).status).toBe(503);
  });

  test("without a snapshot status says 503 instead of inventing a 0", async () => {
    failLedger();
    expect(await get("/api/quota/status")).toMatchObject({ status: 503, body: { code: "quota_unavailable" } });
  });

  test("what the catalogue holds is still served", async () => {
    await one(1);
    failLedger();
    expect(await one(1)).toMatchObject({ status: 200, body: { cached: 1, api_calls: 0 } });
  });

  test("a commit that does not get through leaves the hold to be charged by its expiry", async () => {
    const commit = vi.spyOn(QuotaLedger.prototype, "commit").mockRejectedValue(new Error("ledger is away"));
    expect(await one(1)).toMatchObject({ status: 200, body: { api_calls: 1 } });
    commit.mockRestore();
    expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 1 });
    pass(121);
    expect(await quotaStatus()).toMatchObject({ used: 1, reserved: 0 });
  });

  test.each(["reserve", "commit"] as const)(
    "an answer lost after the %s is asked for again by the same id, and counted once",
    async (lost) => {
      const { namespace, calls } = losingAnswers(lost);
      const answer = await callWith({ QUOTA_LEDGER: namespace }, "POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(1)] });
      expect(answer).toMatchObject({ status: 200, body: { api_calls: 1 } });
      expect(calls()).toBe(2);
      expect(await quotaStatus()).toMatchObject({ used: 1, reserved: 0 });
    },
  );

  test("an overloaded ledger is not asked again", async () => {
    const { namespace, calls } = losingAnswers("reserve", { overloaded: true, retryable: true });
    expect(await callWith({ QUOTA_LEDGER: namespace }, "POST", "/api/quota/reservations", { calls: 1 })).toMatchObject({ status: 503 });
    expect(calls()).toBe(1);
  });

  test("an error inside a decision undoes all of it", async () => {
    await quotaStatus();
    await runInDurableObject(ledger(), async (instance, state) => {
      state.storage.sql.exec("CREATE TRIGGER broken BEFORE INSERT ON reservations BEGIN SELECT RAISE(ABORT, 'disk'); END");
      await expect(instance.reserve({ id: "a", cost: { calls: 5 }, caller: "x", priority: "interactive" }, null)).rejects.toThrow("disk");
      state.storage.sql.exec("DROP TRIGGER broken");
    });
    expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 0 });
  });
});

describe("an answer that got lost", () => {
  test("of a reset is asked for again, and what was spent in between is not wiped out", async () => {
    await put("/api/quota/usage", { used: 70 });
    const operation = { id: "reset-1", actor: "admin" };
    await ledger().reset(operation, null);
    await one(1);
    expect(await ledger().reset(operation, null)).toMatchObject({ used: 1 });
    await ledger().setUsage(40, { id: "set-1", actor: "admin" }, null);
    await one(2);
    expect(await ledger().setUsage(40, { id: "set-1", actor: "admin" }, null)).toMatchObject({ used: 41 });
  });

  test("of a reservation leaves nothing held: it was not sent", async () => {
    const { namespace } = losingAnswers("reserve", {});
    expect(await callWith({ QUOTA_LEDGER: namespace }, "POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(1)] })).toMatchObject({
      status: 503,
    });
    await vi.waitFor(async () => expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 0 }));
  });

  test("of a reservation that was given up grants nothing when it arrives after all", async () => {
    await ledger().abandon("late");
    expect(await ledger().reserve({ id: "late", cost: { calls: 1 }, caller: "x", priority: "interactive" }, null)).toMatchObject({
      result: "conflict",
    });
  });
});

describe("what a failure inside the ledger leaves behind", () => {
  test("settings whose change could not be audited are as before, in memory too", async () => {
    await quotaStatus();
    await runInDurableObject(ledger(), async (instance, state) => {
      state.storage.sql.exec("CREATE TRIGGER broken BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'disk'); END");
      const change = instance.changeSettings({ dailyLimit: 50_000 }, { id: "a", actor: "x" }, null);
      await expect(change).rejects.toThrow("disk");
      state.storage.sql.exec("DROP TRIGGER broken");
    });
    expect(await quotaStatus()).toMatchObject({ daily_limit: 15_000 });
  });

  test("an alarm that could not be set is set by the next request", async () => {
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
  test("set through the API is live at once, and goes on while the ledger fails; set back, it holds again", async () => {
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

  test("can be switched while the ledger fails, and back; the ledger follows when it is there again", async () => {
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

  test("an instance that never heard of the switch reads it from KV when the ledger is away", async () => {
    await put("/api/quota/settings", { enforcement: "off" });
    pass(6);
    await publish();
    failLedger();
    const elsewhere = { get: env.QUOTA_KV.get.bind(env.QUOTA_KV) } as unknown as KVNamespace;
    expect(await callWith({ QUOTA_KV: elsewhere }, "POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(1)] })).toMatchObject({
      status: 200,
    });
  });

  test("an older word about the switch does not undo a later one, wherever it comes from", async () => {
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

  test("what an operator says now is later than what any instance remembers", async () => {
    failLedger();
    vi.setSystemTime(Date.now() + 5_000);
    await put("/api/quota/settings", { enforcement: "off" });
    vi.restoreAllMocks();
    vi.setSystemTime(Date.now() - 5_000);
    await put("/api/quota/settings", { enforcement: "enforce" });
    await one(1);
    expect(await quotaStatus()).toMatchObject({ enforcement: "enforce" });
  });

  test("observe lets pass what the pace would refuse, and says so", async () => {
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
  test("everything but the snapshot works", async () => {
    const broken = { QUOTA_KV: brokenKv() };
    expect(await callWith(broken, "POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(1)] })).toMatchObject({ status: 200 });
    expect(await callWith(broken, "GET", "/api/quota/status?fresh=false")).toMatchObject({
      status: 200,
      body: { source: "ledger", used: 1 },
    });
    expect(await callWith(broken, "PUT", "/api/quota/settings", { background_floor: 10 })).toMatchObject({ status: 200 });
  });

  test("the ledger goes on, and publishes when KV is back", async () => {
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

  test("a KV that hangs keeps nobody waiting long", async () => {
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

  test("each key is written at most once a second, whatever happens", async () => {
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

describe("an emptied ledger", () => {
  test("goes on from the snapshot: what was reserved counts as spent, settings and price come back", async () => {
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

  test("believes the provider where it counted more", async () => {
    await one(1);
    pass(6);
    await publish();
    await simulator.control("POST", "/spend", { calls: 500 });
    await emptyLedger();
    expect(await quotaStatus()).toMatchObject({ used: 501, recovered: true, upstream: { untracked: 500 } });
  });

  test("takes a snapshot that it cannot read for no zero", async () => {
    await put("/api/quota/usage", { used: 12_000 });
    await env.QUOTA_KV.put("snapshot:isbndb", JSON.stringify({ version: 99 }));
    await emptyLedger();
    await simulator.control("POST", "/faults", { kind: "status", status: 500, path: "/key", times: 1 });
    expect((await post("/api/quota/reservations", { calls: 1 })).status).toBe(503);
  });

  test("does not begin with other limits than the operator's because KV gave only half", async () => {
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

  test("begun without KV, takes the operator's limits from it as soon as it answers, and overwrites nothing", async () => {
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

  test("begun without KV, is not hurried by KV's silence, and keeps what the operator says meanwhile", async () => {
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

  test("just after midnight counts what yesterday still held", async () => {
    await setClock("2031-05-14T23:59:50Z");
    await post("/api/quota/reservations", { calls: 40 });
    await publish();
    await emptyLedger();
    await setClock("2031-05-15T00:00:30Z");
    expect(await quotaStatus()).toMatchObject({ date: "2031-05-15", used: 40, callers: [{ caller: "api", used: 40 }] });
  });

  test("just after midnight, without KV, does not believe a provider that may still count yesterday", async () => {
    await setClock("2031-05-15T00:01:00Z");
    await emptyLedger();
    expect((await callWith({ QUOTA_KV: brokenKv() }, "POST", "/api/quota/reservations", { calls: 1 })).status).toBe(503);
  });

  test("does not take yesterday's snapshot for today", async () => {
    await put("/api/quota/usage", { used: 9_000 });
    pass(6);
    await publish();
    pass(86_400);
    await emptyLedger();
    expect(await quotaStatus()).toMatchObject({ used: 0 });
  });

  test("with KV failing asks the provider, and without its answer decides nothing", async () => {
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

  test("an operator's reset survives it", async () => {
    await simulator.control("POST", "/spend", { calls: 5_000 });
    await one(1);
    await post("/api/quota/reset");
    pass(6);
    await publish();
    await emptyLedger();
    expect(await quotaStatus()).toMatchObject({ used: 0 });
  });
});

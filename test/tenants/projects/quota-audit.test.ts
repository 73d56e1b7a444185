import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { failTable, failWrites } from "../../library/support.ts";
import { callWith } from "../../routes/support.ts";
import { ADMIN_TOKEN, call, freshStart, get, post, put, quotaStatus, setClock } from "../../support/worker.ts";
import { audit, right, rows } from "../../support/tenants/http.ts";
import type { Body, Entry } from "../../support/tenants/http.ts";

const NOW = "2031-05-14T14:03:11Z";

beforeEach(async () => {
  await freshStart();
  await rows("DELETE FROM audit_log");
});
afterEach(() => void vi.restoreAllMocks());

const latest = async (query = ""): Promise<Entry | undefined> => (await audit(query))[0];
const audited = async (): Promise<unknown[]> =>
  (await audit())
    .toReversed()
    .map(({ actor, action, subject, project_id, before, after }) => [actor, action, subject, project_id, before, after]);

describe("the quota's operation", () => {
  const quota = ["admin", "quota:isbndb", null] as const;
  const is = (action: string, before: unknown, after: unknown) => [quota[0], action, quota[1], quota[2], before, after];
  const inForce = { daily_limit: 15_000, safety_buffer: 2_000, background_floor: 1_000, rate_per_second: 0, enforcement: "enforce" };

  test("is audited with all other changes, with the ledger's state before and after", async () => {
    right(await put("/api/quota/settings", { daily_limit: 9_000, rate_per_second: 3, enforcement: "observe" }));
    right(await call("DELETE", "/api/quota/settings"));
    right(await put("/api/quota/usage", { used: 40 }));
    right(await put("/api/quota/usage", { used: 30 }));
    right(await post("/api/quota/reset"));
    const changed = { ...inForce, daily_limit: 9_000, rate_per_second: 3, enforcement: "observe" };
    expect(await audited()).toEqual([
      is("quota.settings.change", inForce, changed),
      is("quota.settings.restore", changed, inForce),
      is("quota.usage.set", { used: 0 }, { used: 40 }),
      is("quota.usage.set", { used: 40 }, { used: 30 }),
      is("quota.usage.reset", { used: 30, untracked: 0, callers: [{ caller: "operator", used: 30 }] }, { used: 0 }),
    ]);
  });

  test("is the same in the quota's history, with the API's names", async () => {
    right(await put("/api/quota/settings", { safety_buffer: 1_000 }));
    const [entry, operation] = [await latest(), (await get<{ operations: Body[] }>("/api/quota/history?days=1")).body.operations[0]];
    expect(operation).toEqual({
      at: NOW,
      action: "settings.change",
      actor: "admin",
      before: entry?.before,
      after: { ...inForce, safety_buffer: 1_000 },
    });
  });

  test("in the last millisecond of a day is audited too", async () => {
    // The other ledger below can recover nothing.
    await quotaStatus();
    await setClock("2031-05-14T23:59:59.999Z");
    const lookedUpTomorrow = {
      getByName: (name: string) => {
        const stub = env.QUOTA_LEDGER.getByName(name);
        return {
          setUsage: async (...given: Parameters<typeof stub.setUsage>) => stub.setUsage(...given),
          history: async (days: number) => {
            await setClock("2031-05-15T00:00:00.001Z");
            return stub.history(days);
          },
        };
      },
    };
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
    const answer = await callWith({ QUOTA_LEDGER: lookedUpTomorrow }, "/api/quota/usage", { method: "PUT", headers, body: '{"used": 7}' });
    expect(answer.body).toMatchObject({ used: 7, date: "2031-05-14" });
    expect(await latest()).toMatchObject({ action: "quota.usage.set", after: { used: 7 } });
  });

  test("that was refused is not audited", async () => {
    expect((await put("/api/quota/settings", { daily_limit: 1 })).status).toBe(422);
    expect((await put("/api/quota/usage", { used: -1 })).status).toBe(400);
    expect((await put("/api/quota/usage", { used: 1 }, { token: null })).status).toBe(401);
    expect(await audit()).toEqual([]);
  });

  test("by concurrent requests is audited once per request, with its own before and after", async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, async (_, n) => put("/api/quota/usage", { used: n + 1 })));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    const entries = await audit();
    expect(entries.map(({ after }) => after?.["used"]).toSorted((a, b) => Number(a) - Number(b))).toEqual(answers.map((_, n) => n + 1));
    // The ledger applied the changes one after the other. Each begins with the state that the previous one left.
    const befores = entries.map(({ before }) => before?.["used"]);
    expect(new Set(befores).size).toBe(12);
    expect(befores).toContain(0);
  });

  test.each(["INSERT", "everything"])("continues although the audit log cannot be written (%s), and logs the failure", async (what) => {
    await (what === "INSERT" ? failWrites("audit_log") : failTable("audit_log"));
    const line = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json", "x-request-id": "find-me" };
    const body = JSON.stringify({ used: 70 });
    const answer = await callWith({}, "/api/quota/usage", { method: "PUT", headers, body });
    expect({ status: answer.status, used: answer.body["used"] }).toEqual({ status: 200, used: 70 });
    const logged = line.mock.calls.map(([text]) => JSON.parse(String(text)) as Body);
    expect(logged).toContainEqual(
      expect.objectContaining({
        message: "Copying a change of the quota into the audit log failed",
        request_id: "find-me",
      }),
    );
    expect((await quotaStatus()).used).toBe(70);
    const { operations } = (await get<{ operations: Body[] }>("/api/quota/history?days=1")).body;
    expect(operations[0]).toMatchObject({ action: "usage.set", after: { used: 70 } });
  });

  test("does not wait for a database that hangs", async () => {
    const hanging = new Proxy(env.DB, {
      get: (target, name) =>
        name === "prepare"
          ? () => ({ bind: () => ({ run: async () => new Promise(() => undefined) }) })
          : ((Reflect.get(target, name) as CallableFunction).bind(target) as unknown),
    });
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const began = performance.now();
    const answer = await callWith({ DB: hanging }, "/api/quota/reset", {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
    });
    expect(answer.status).toBe(200);
    expect(performance.now() - began).toBeLessThan(4_000);
  });

  test("while the ledger is unavailable: the changed switch is audited, with an unknown state before", async () => {
    const unavailable = {
      getByName: () => {
        throw new Error("The ledger is unavailable");
      },
    };
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
    const turn = async (enforcement: string) =>
      callWith({ QUOTA_LEDGER: unavailable }, "/api/quota/settings", { method: "PUT", headers, body: JSON.stringify({ enforcement }) });
    expect(await turn("off")).toMatchObject({ status: 200, body: { applied_to: "switch" } });
    expect(await audited()).toEqual([is("quota.settings.switch", null, { enforcement: "off" })]);
    const refused = await callWith({ QUOTA_LEDGER: unavailable }, "/api/quota/usage", { method: "PUT", headers, body: '{"used": 1}' });
    expect(refused.status).toBe(503);
    expect(await audited()).toHaveLength(1);
  });
});

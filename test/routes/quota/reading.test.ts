/** Reads: a reservation, the settings and a long history. */
import { runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { QuotaLedger } from "../../../worker/src/index.ts";
import { call, freshLedger, get, ledger, post, settings } from "../../support/worker.ts";

beforeEach(async () => freshLedger());

const reserve = async (body: object) => post("/api/quota/reservations", body);
const commit = async (id: string, body?: object) => post(`/api/quota/reservations/${id}/commit`, body);
const release = async (id: string) => call("DELETE", `/api/quota/reservations/${id}`);
const pass = (seconds: number): void => void vi.setSystemTime(Date.now() + seconds * 1_000);

describe("reading a reservation", () => {
  const read = async (id: string) => get(`/api/quota/reservations/${id}`);

  test("shows its state from the grant to its end", async () => {
    await reserve({ calls: 10, id: "a", caller: "cron.harvest", ttl_seconds: 60 });
    const times = { start_at: "2031-05-14T14:03:11.000Z", expires_at: "2031-05-14T14:04:11Z" };
    const open = { id: "a", state: "open", caller: "cron.harvest", calls: 10, charged: null, ...times };
    expect(await read("a")).toMatchObject({ status: 200, body: { ...open, quota: { reserved: 10 } } });
    await commit("a", { calls: 7 });
    expect((await read("a")).body).toMatchObject({ ...open, state: "committed", charged: 7 });
    await reserve({ calls: 1, id: "b" });
    await release("b");
    expect((await read("b")).body).toMatchObject({ state: "released", charged: 0 });
    await reserve({ calls: 2, id: "c", ttl_seconds: 30 });
    pass(31);
    expect((await read("c")).body).toMatchObject({ state: "expired", charged: 2, quota: { used: 9, reserved: 0 } });
    await commit("c", { calls: 2 });
    expect((await read("c")).body).toMatchObject({ state: "committed", charged: 2 });
  });

  test("is 404 for an unknown id", async () => {
    expect(await read("never")).toMatchObject({ status: 404, body: { code: "not_found" } });
  });
});

describe("reading the settings", () => {
  test("shows the current and the configured ones", async () => {
    await settings({ daily_limit: 9_000, enforcement: "observe" });
    const { status, body } = await get<{ settings: object; configured: object }>("/api/quota/settings");
    expect(status).toBe(200);
    expect(body.configured).toMatchObject({ daily_limit: 15_000, safety_limit: 13_000, enforcement: "enforce" });
    expect(body.settings).toEqual({
      ...body.configured,
      daily_limit: 9_000,
      safety_limit: 7_000,
      rate_per_second: 0,
      enforcement: "observe",
    });
    await call("DELETE", "/api/quota/settings");
    expect((await get("/api/quota/settings")).body).toEqual({ settings: body.configured, configured: body.configured });
  });
});

describe("reading the history", () => {
  const DAYS = 400;
  const dateOf = (daysAgo: number): string => new Date(Date.now() - daysAgo * 86_400_000).toISOString().slice(0, 10);
  interface History {
    readonly days: readonly { readonly date: string; readonly used: number }[];
    readonly operations: readonly unknown[];
  }

  test("of 400 days has each day once, and no read of the ledger covers more than 31", async () => {
    await runInDurableObject(ledger(), (_, { storage }) => {
      for (let ago = 1; ago < DAYS + 5; ago += 1) {
        storage.sql.exec("INSERT INTO days (date, charged) VALUES (?, ?)", dateOf(ago), ago);
        storage.sql.exec("INSERT INTO callers (date, caller, used) VALUES (?, 'admin', ?)", dateOf(ago), ago);
      }
    });
    const read = vi.spyOn(QuotaLedger.prototype, "history");
    const { days, operations } = (await get<History>(`/api/quota/history?days=${DAYS}`)).body;
    expect(days.filter(({ used }) => used > 0).map(({ date, used }) => [date, used])).toEqual(
      Array.from({ length: DAYS - 1 }, (_, index) => [dateOf(index + 1), index + 1]),
    );
    expect(operations).toHaveLength(1);
    expect(Math.max(...read.mock.calls.map(([length]) => length))).toBe(31);
    read.mockRestore();
    const ofCaller = (await get<History>(`/api/quota/history?days=${DAYS}&caller=admin`)).body;
    expect(ofCaller.days.map(({ date }) => date)).toEqual([]);
  });

  test("of a ledger of the previous release, which knows no parts, has each day once", async () => {
    await runInDurableObject(ledger(), (_, { storage }) => {
      for (let ago = 1; ago < 90; ago += 1) storage.sql.exec("INSERT INTO days (date, charged) VALUES (?, ?)", dateOf(ago), ago);
    });
    const current = Reflect.get(QuotaLedger.prototype, "history") as (...values: unknown[]) => ReturnType<QuotaLedger["history"]>;
    const earlier = vi.spyOn(QuotaLedger.prototype, "history").mockImplementation(async function history(this: QuotaLedger, days, caller) {
      return current.call(this, days, caller);
    });
    const { days } = (await get<History>("/api/quota/history?days=60")).body;
    earlier.mockRestore();
    const dates = days.map(({ date }) => date);
    expect(new Set(dates).size).toBe(dates.length);
  });
});

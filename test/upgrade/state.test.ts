/** Today's code opens the state of earlier releases: limits, reservations, prices, harvests, tenants and billing continue. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { ended } from "../jobs/support.ts";
import { call, get, isbnNumber, post, put, quotaStatus, setClock } from "../support/worker.ts";
import { right, rows } from "../support/tenants/http.ts";
import { by, enrich, statusText } from "../support/tenants/keys.ts";
import { RELEASES } from "./releases.ts";
import type { Recording } from "./releases.ts";
import { moveAll, optional, upgradedFrom } from "./support.ts";

afterAll(() => void vi.restoreAllMocks());

interface Usage {
  readonly caps: readonly {
    readonly cap_type: string;
    readonly used: number | null;
    readonly cap: number;
    readonly thresholds_reached: number[];
  }[];
  readonly organization: { readonly api_calls: { readonly used: number; readonly limit: number; readonly reset_at: string } };
  readonly upstream: Readonly<Record<string, number>>;
}

const usageOf = async (project: string): Promise<Usage> => right(await get<Usage>(`/api/projects/${project}/usage`));
const used = async (project: string): Promise<Record<string, number | null>> =>
  Object.fromEntries((await usageOf(project)).caps.map(({ cap_type, used }) => [cap_type, used]));

const terms = { calls: 40, caller: "cron.harvest", priority: "background", ttl_seconds: 3600 };

// The tests of a release build on one another. The fourth release changed none of this state, so it is left out.
describe.each(RELEASES.filter(({ migrations }) => migrations !== 4))("from $name", (release: Recording) => {
  const { told: answers } = release;
  beforeAll(async () => upgradedFrom(release));

  test("today's count, the reservations, the limits and the learned price are unchanged", async () => {
    const { as_of: _, callers, ...status } = await quotaStatus();
    const { as_of: __, callers: before, ...recorded } = answers.status;
    expect(status).toEqual(recorded);
    expect(callers).toEqual(before);
  });

  test("the history and the audit are unchanged", async () => {
    const { days, operations } = right(await get<Record<string, unknown[]>>("/api/quota/history?days=2"));
    const recorded = release.rpc["history"] as Record<string, Record<string, unknown>[]>;
    const summary = ({ at, action, actor }: Record<string, unknown>) => [at, action, actor];
    expect((operations as Record<string, unknown>[]).map(summary)).toEqual(recorded["operations"]?.map(summary));
    expect(days).toMatchObject([{ date: "2031-05-14", used: answers.status.used, reserved_expired: 7 }]);
  });

  test("ids stay idempotent, and reservations stay with their callers", async () => {
    const before = await quotaStatus();
    const again = await post("/api/quota/reservations", { id: "held-1", ...terms });
    expect(again).toMatchObject({ status: 201, body: { id: "held-1", calls: 40, expires_at: "2031-05-14T15:00:00Z" } });
    expect(await post("/api/quota/reservations", { id: "held-1", ...terms, calls: 41 })).toMatchObject({ status: 409 });
    expect(await post("/api/quota/reservations", { id: "released-1", ...terms, calls: 30 })).toMatchObject({ status: 409 });
    expect(await post("/api/quota/reservations/committed-1/commit", { calls: 60 })).toMatchObject({ status: 200, body: { charged: 50 } });
    expect(await call("DELETE", "/api/quota/reservations/released-1")).toMatchObject({ status: 200, body: { released: 30 } });
    expect(await quotaStatus()).toMatchObject({ used: before.used, reserved: before.reserved });
    expect(await post("/api/quota/reservations/held-1/commit", { calls: 35 })).toMatchObject({ status: 200, body: { charged: 35 } });
    expect(await quotaStatus()).toMatchObject({ used: before.used + 35, reserved: before.reserved - 40 });
  });

  test("a commit after expiry is late and charges only the difference", async () => {
    const before = await quotaStatus();
    const late = await post("/api/quota/reservations/expired-1/commit", { calls: 9 });
    expect(late).toMatchObject({ status: 200, body: { charged: 9, late: true } });
    expect((await quotaStatus()).used).toBe(before.used + 2);
  });

  test("known books are free, and new ones cost the learned price", async () => {
    const before = await quotaStatus();
    const known = await post("/api/enrich/batch-direct", { isbns: [1, 2, 3, 4].map((n) => isbnNumber(n)) });
    expect(known).toMatchObject({ status: 200, body: { api_calls: 0 } });
    const more = await post("/api/enrich/batch-direct", { isbns: [201, 202, 203].map((n) => isbnNumber(n)) });
    expect(more).toMatchObject({ status: 200, body: { api_calls: 1 } });
    expect((await quotaStatus()).used).toBe(before.used + 1);
    const author = { author_name: "Ursula K. Le Guin", max_pages: 2, page_size: 3 };
    expect(await post("/api/authors/enrich-bibliography", author)).toMatchObject({ status: 200, body: { api_calls: 2, next_page: 4 } });
  });

  describe.each(RELEASES.filter((each) => each === release && each.migrations >= 2))("harvest", () => {
    test("the harvest continues with the due targets and keeps its earlier runs", async () => {
      await moveAll();
      const { targets } = right(await get<{ targets: Record<string, unknown>[] }>("/api/harvest/status"));
      expect(targets.map(({ kind, state, targets: count }) => [kind, state, count])).toEqual([
        ["author", "due", 1],
        ["isbn", "done", 2],
        ["isbn", "due", 2],
      ]);
      const run = right(await post("/api/harvest/run"));
      expect(run).toMatchObject({ targets: 3, failed: 0 });
      const { targets: left, runs } = right(await get<{ targets: { state: string }[]; runs: unknown[] }>("/api/harvest/status"));
      expect(left.filter(({ state }) => state === "due")).toEqual([]);
      expect(runs).toHaveLength(2);
    });
  });

  describe.each(optional(answers.keys))("tenants", ({ key, shutKey }) => {
    test("keys keep their access, and counting continues", async () => {
      expect(await used("shop")).toEqual({
        db_queries_per_day: release.migrations >= 5 ? 2 : 0,
        realtime_connections: 7,
        storage_uploads_per_day: 17,
        function_invocations_per_day: 3,
      });
      expect((await usageOf("shop")).upstream).toMatchObject({ calls_per_day: 50, used: 3, reserved: 4 });
      expect(statusText(await enrich(key, [isbnNumber(300)]))).toBe("200");
      expect((await used("shop"))["function_invocations_per_day"]).toBe(4);
      expect((await usageOf("shop")).upstream).toMatchObject({ used: 4, reserved: 4 });
      expect((await usageOf("shop")).organization.api_calls).toMatchObject({ limit: 100, reset_at: "2031-05-31T00:00:00Z" });
      expect(statusText(await enrich(shutKey, [isbnNumber(301)]))).toBe("403 project_suspended");
    });

    test("an event reported before the upgrade is not counted again", async () => {
      const events = [
        { id: "e1", project_id: "shop", type: "storage_uploads_per_day", quantity: 17 },
        { id: "e9", project_id: "shop", type: "storage_uploads_per_day", quantity: 3 },
      ];
      const { results } = right(await post<{ results: { result: string }[] }>("/api/usage/events", { events }));
      expect(results.map(({ result }) => result)).toEqual(["duplicate", "counted"]);
      expect((await used("shop"))["storage_uploads_per_day"]).toBe(20);
    });

    test("the sweep suspends a project at its cap", async () => {
      const { id } = right(await post<{ id: string }>("/api/jobs", { type: "check_usage_limits", payload: {} }));
      expect((await ended(id)).result).toMatchObject({ projects_checked: 2, projects_suspended: 1, warnings_sent: 0 });
      expect(statusText(await enrich(key, [isbnNumber(302)]))).toBe("403 project_suspended");
    });
  });

  test("changes by operators are applied and audited", async () => {
    right(await put("/api/quota/usage", { used: 2_000 }));
    right(await put("/api/quota/settings", { safety_buffer: 1_600 }));
    expect(await quotaStatus()).toMatchObject({ used: 2_000, safety_limit: 12_400 });
    const { operations } = right(await get<{ operations: { action: string }[] }>("/api/quota/history?days=1"));
    expect(operations.slice(0, 2).map(({ action }) => action)).toEqual(["settings.change", "usage.set"]);
  });

  test("the next day starts at zero, and expired reservations belong to the day before", async () => {
    await setClock("2031-05-15T09:00:00Z");
    expect(await quotaStatus()).toMatchObject({ date: "2031-05-15", used: 0, reserved: 0, daily_limit: 14_000 });
    const { days } = right(await get<{ days: { date: string; used: number }[] }>("/api/quota/history?days=2"));
    // The project's reservation was charged when it expired.
    expect(days.map(({ date, used }) => [date, used])).toEqual([["2031-05-14", answers.keys === undefined ? 2_000 : 2_004]]);
    if (answers.keys === undefined) return;
    expect(statusText(await enrich(answers.keys.key, [isbnNumber(303)]))).toBe("200");
    expect(await used("shop")).toMatchObject({ storage_uploads_per_day: 0, function_invocations_per_day: 1, realtime_connections: 7 });
    expect(statusText(await by(answers.keys.key, "GET", "/api/projects/shop/usage"))).toBe("200");
  });

  describe.each(optional(answers.keys))("billing", () => {
    test("a billing period from before the upgrade closes with its full usage", async () => {
      const { organization } = await usageOf("shop");
      await setClock("2031-06-01T00:00:00Z");
      const { id } = right(await post<{ id: string }>("/api/jobs", { type: "reset_quotas", payload: {} }));
      expect((await ended(id)).result).toMatchObject({ organizations: 1, rows_updated: 1 });
      const closed = await rows("SELECT api_calls FROM billing_periods WHERE closed_at IS NOT NULL ORDER BY period_index DESC LIMIT 1");
      expect(closed).toEqual([{ api_calls: organization.api_calls.used }]);
    });
  });
});

import { beforeEach, describe, expect, test } from "vitest";
import { freshStart, get, put, setClock } from "../../support/worker.ts";
import {
  audit,
  audited,
  count,
  level,
  makeOrganization,
  makeProject,
  patch,
  readProject,
  refusal,
  remove,
  right,
  rows,
  stop,
} from "../../support/tenants/http.ts";
import type { Body, ShownProject } from "../../support/tenants/http.ts";

const MIDNIGHT = Date.parse("2031-05-15T00:00:00Z");
const COUNTER = "db_queries_per_day";
const GAUGE = "realtime_connections";

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  await makeProject("mine");
});

const setCaps = async (caps: Body): Promise<ShownProject> => right(await put<ShownProject>("/api/projects/mine/caps", caps));
const reasons = ({ reasons: shown }: ShownProject): string[] => shown.map(({ reason }) => reason);
const revisions = async (): Promise<Body> =>
  Object.fromEntries(
    (await rows("SELECT cap_type, revision FROM caps WHERE project_id = 'mine'")).map((row) => [row["cap_type"], row["revision"]]),
  );
const notices = async (): Promise<unknown[]> =>
  rows("SELECT cap_type, period, threshold, revision, sent FROM threshold_notices ORDER BY cap_type, revision, threshold");

describe("caps", () => {
  test("that are not named do not change, null is unlimited, and 0 is 0", async () => {
    const { caps } = await setCaps({ [COUNTER]: null, [GAUGE]: 0 });
    expect(caps).toEqual({ [COUNTER]: null, [GAUGE]: 0, storage_uploads_per_day: 1_000, function_invocations_per_day: 5_000 });
    expect((await setCaps({ [COUNTER]: 7 })).caps).toEqual({ ...caps, [COUNTER]: 7 });
  });

  test("raise the revision for each real change only", async () => {
    await setCaps({ [COUNTER]: 10_000, [GAUGE]: 100 });
    await setCaps({});
    expect(await revisions()).toEqual({ [COUNTER]: 1, [GAUGE]: 1, storage_uploads_per_day: 1, function_invocations_per_day: 1 });
    expect(await audited("subject=project:mine")).toHaveLength(1);
    await setCaps({ [COUNTER]: 9, [GAUGE]: 100 });
    await setCaps({ [COUNTER]: null });
    await setCaps({ [COUNTER]: null });
    await setCaps({ [COUNTER]: 0 });
    expect(await revisions()).toMatchObject({ [COUNTER]: 4, [GAUGE]: 1 });
    const changes = (await audit("project_id=mine")).filter(({ action }) => action === "project.caps").toReversed();
    expect(changes.map(({ before, after }) => [before, after])).toEqual([
      [{ [COUNTER]: 10_000 }, { [COUNTER]: 9 }],
      [{ [COUNTER]: 9 }, { [COUNTER]: null }],
      [{ [COUNTER]: null }, { [COUNTER]: 0 }],
    ]);
  });

  test.each([
    [{ [COUNTER]: -1 }, [COUNTER]],
    [{ [COUNTER]: 1.5 }, [COUNTER]],
    [{ [COUNTER]: 1e12 + 1 }, [COUNTER]],
    [{ [COUNTER]: "10" }, [COUNTER]],
    [{ [COUNTER]: 5, db_queries: 5 }, ["db_queries"]],
    [{ api_calls: 5 }, ["api_calls"]],
    [{ [COUNTER]: 5, [GAUGE]: false }, [GAUGE]],
  ])("%j: 400 for %j, and no other is set", async (caps, paths) => {
    expect(refusal(await put("/api/projects/mine/caps", caps))).toEqual({ status: 400, code: "invalid_request", paths });
    expect((await readProject("mine")).caps[COUNTER]).toBe(10_000);
  });

  test("changed by twenty concurrent requests have one revision per change, and consistent audit entries", async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, async (_, n) => put("/api/projects/mine/caps", { [COUNTER]: n })));
    const applied = answers.filter(({ status }) => status === 200).length;
    expect(answers.every(({ status }) => status === 200 || status === 409)).toBe(true);
    const chain = (await audit("project_id=mine")).filter(({ action }) => action === "project.caps").toReversed();
    expect(chain).toHaveLength(applied);
    chain.forEach(({ before }, index) => expect(before?.[COUNTER]).toBe(index === 0 ? 10_000 : chain[index - 1]?.after?.[COUNTER]));
    expect(await revisions()).toMatchObject({ [COUNTER]: 1 + applied });
  });

  test("of an archived project can be set for its restoration", async () => {
    right(await remove("/api/projects/mine"));
    await setCaps({ [COUNTER]: 5 });
    expect(right(await patch("/api/projects/mine", { status: "ACTIVE" }))).toMatchObject({ caps: { [COUNTER]: 5 } });
  });
});

describe("a change that resolves a suspension lifts it", () => {
  const stoppedBy = async (cap: string, used: number | null): Promise<void> => {
    await stop("mine", `quota:${cap}`, cap === GAUGE ? null : MIDNIGHT);
    if (used !== null) await (cap === GAUGE ? level("mine", cap, used) : count("mine", cap, used));
  };

  test.each([
    // A counter suspends at its cap, a gauge above it.
    [COUNTER, 10_000, 10_001, true],
    [COUNTER, 10_000, 9_999, false],
    [COUNTER, 10_001, 10_001, false],
    [COUNTER, 10_000, null, true],
    [COUNTER, 10_000, 0, false],
    [COUNTER, null, 1, true],
    [COUNTER, null, 0, true],
    [GAUGE, 101, 102, true],
    [GAUGE, 101, 101, true],
    [GAUGE, 101, 99, false],
    [GAUGE, 101, null, true],
    [GAUGE, -3, 0, true],
    [GAUGE, 0, 0, true],
    [GAUGE, 1, 0, false],
    // The level is unknown, so only an unlimited cap resolves it.
    [GAUGE, null, 1_000, false],
    [GAUGE, null, null, true],
  ])("%s with %j used, set to %j: lifted is %j", async (cap, used, value, lifted) => {
    await stoppedBy(cap, used);
    const after = await setCaps({ [cap]: value });
    expect(after).toMatchObject({ status: lifted ? "ACTIVE" : "SUSPENDED", caps: { [cap]: value } });
    expect(await readProject("mine")).toEqual(after);
    const expected = lifted ? { lifted_at: Date.now(), lifted_by: "admin" } : { lifted_at: null, lifted_by: null };
    expect(await rows("SELECT lifted_at, lifted_by FROM suspensions")).toEqual([expected]);
  });

  test("and the project's next request is admitted", async () => {
    const { api_key } = await makeProject("shop");
    await stop("shop", `quota:${COUNTER}`, MIDNIGHT);
    await count("shop", COUNTER, 10_000);
    const read = async () => (await get("/api/authors/top", { token: api_key.key })).status;
    expect(await read()).toBe(403);
    right(await put("/api/projects/shop/caps", { [COUNTER]: 20_000 }));
    expect(await read()).toBe(200);
  });

  test("and no other: neither of another cap, nor for abuse, nor a manual one", async () => {
    for (const reason of [`quota:${COUNTER}`, `quota:${GAUGE}`, "abuse:EXCESSIVE_USAGE", "admin"]) await stop("mine", reason);
    await level("mine", GAUGE, 5);
    await makeProject("other");
    await stop("other", `quota:${COUNTER}`);
    const after = await setCaps({ [COUNTER]: 20_000, storage_uploads_per_day: null });
    expect(reasons(after).toSorted()).toEqual(["abuse:EXCESSIVE_USAGE", "admin", `quota:${GAUGE}`]);
    expect(reasons(await readProject("other"))).toEqual([`quota:${COUNTER}`]);
  });

  test("but only if it changes: setting the same value lifts nothing", async () => {
    await stop("mine", `quota:${COUNTER}`);
    expect(await setCaps({ [COUNTER]: 10_000 })).toMatchObject({ status: "SUSPENDED" });
  });

  test("based on today's usage, not yesterday's", async () => {
    await stop("mine", `quota:${COUNTER}`);
    await count("mine", COUNTER, 50_000, "2031-05-13");
    await count("mine", COUNTER, 10_500);
    expect(await setCaps({ [COUNTER]: 10_500 })).toMatchObject({ status: "SUSPENDED" });
    expect(await setCaps({ [COUNTER]: 10_501 })).toMatchObject({ status: "ACTIVE" });
  });

  test("several concurrent changes", async () => {
    await stop("mine", `quota:${COUNTER}`);
    await stop("mine", `quota:${GAUGE}`);
    await count("mine", COUNTER, 10_000);
    await level("mine", GAUGE, 150);
    expect(await setCaps({ [COUNTER]: 10_001, [GAUGE]: 150 })).toMatchObject({ status: "ACTIVE", reasons: [] });
  });
});

describe("thresholds already reached under the new cap", () => {
  const mark = (cap: string, threshold: number, revision = 2) => ({ cap_type: cap, period: "2031-05-14", threshold, revision, sent: 0 });

  test.each([
    [COUNTER, 79, 100, []],
    [COUNTER, 80, 100, [80]],
    [COUNTER, 89, 100, [80]],
    [COUNTER, 90, 100, [80, 90]],
    [COUNTER, 500, 100, [80, 90]],
    [COUNTER, 4, 5, [80]],
    [COUNTER, 0, 1, []],
    [COUNTER, null, 1, []],
    [COUNTER, 7, 0, []],
    [COUNTER, 7, null, []],
    [GAUGE, 8, 10, [80]],
    [GAUGE, null, 10, []],
    [GAUGE, -9, 10, []],
    [COUNTER, 800_000_000_000, 1e12, [80]],
  ])("%s with %j used, set to %j: %j are marked without a notice", async (cap, used, value, thresholds) => {
    if (used !== null) await (cap === GAUGE ? level("mine", cap, used) : count("mine", cap, used));
    await setCaps({ [cap]: value });
    expect(await notices()).toEqual(thresholds.map((threshold) => mark(cap, threshold)));
  });

  test("are marked again for each revision, so that a raise enables those above", async () => {
    await count("mine", COUNTER, 95);
    await setCaps({ [COUNTER]: 100 });
    await setCaps({ [COUNTER]: 110 });
    await setCaps({ [COUNTER]: 1_000 });
    expect(await notices()).toEqual([mark(COUNTER, 80), mark(COUNTER, 90), mark(COUNTER, 80, 3)]);
  });

  test("belong to the day of the change", async () => {
    await count("mine", COUNTER, 95);
    await setClock("2031-05-15T00:00:00Z");
    await setCaps({ [COUNTER]: 100 });
    expect(await notices()).toEqual([]);
  });

  test("of unchanged caps are left to the sweep", async () => {
    await count("mine", COUNTER, 9_999);
    await setCaps({ [GAUGE]: 7, [COUNTER]: 10_000 });
    expect(await notices()).toEqual([]);
  });
});

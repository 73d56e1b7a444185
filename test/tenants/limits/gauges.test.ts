/** Levels: the latest set plus later additions, regardless of their order of arrival. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { concurrently, freshStart, setClock } from "../../support/worker.ts";
import { addOrganization, addProject, gauges, moved, outcomes, report, seeded, shuffled, split } from "../../support/tenants/rows.ts";
import type { Report, Use } from "../../support/tenants/rows.ts";

beforeEach(async () => {
  await freshStart();
  await addOrganization("acme");
  await addProject("one", "acme");
  await addProject("two", "acme");
});

const GAUGE = "one realtime_connections";
const level = async (): Promise<number | undefined> => (await gauges())[GAUGE];

/** Reports events, which must all count. */
async function reportAll(events: readonly unknown[]): Promise<Report> {
  const answer = await report(events);
  expect(answer).toMatchObject({ conflicts: 0, refused: 0 });
  return answer;
}

/** An event of the gauge, this many seconds after noon. */
const move = (id: string, mode: "add" | "set", quantity: number, seconds: number, more: Partial<Use> = {}): Use => ({
  id,
  project_id: "one",
  type: "realtime_connections",
  mode,
  quantity,
  occurred_at: new Date(Date.parse("2031-05-14T12:00:00Z") + seconds * 1_000).toISOString(),
  ...more,
});
const add = (id: string, quantity: number, seconds: number): Use => move(id, "add", quantity, seconds);
const set = (id: string, quantity: number, seconds: number): Use => move(id, "set", quantity, seconds);

test("a gauge without reports has no level: it is unknown, not 0", async () => {
  await reportAll([{ id: "a", project_id: "one", type: "db_queries_per_day" }]);
  expect(await gauges()).toEqual({});
});

describe("a level", () => {
  test("that was never set is the sum of additions", async () => {
    await reportAll([add("a", 5, 0), add("b", -2, 1)]);
    await reportAll([add("c", 4, -600)]);
    expect(await level()).toBe(7);
  });

  test("may be negative briefly, if a closing is reported before its opening", async () => {
    await reportAll([add("close", -1, 10)]);
    expect(await level()).toBe(-1);
    await reportAll([add("open", 1, 0)]);
    expect(await level()).toBe(0);
  });

  test("that is set drops earlier additions and keeps later ones", async () => {
    await reportAll([add("before", 100, 0), add("after", 3, 20)]);
    await reportAll([set("s", 10, 10)]);
    expect(await level()).toBe(13);
  });

  test("that was set includes later additions, but no earlier ones that are reported later", async () => {
    await reportAll([set("s", 10, 10)]);
    await reportAll([add("after", 3, 20), add("before", 100, 0)]);
    expect(await level()).toBe(13);
    await reportAll([add("before-too", 100, 5)]);
    expect(await level()).toBe(13);
  });

  test("counts additions of the report that sets it once", async () => {
    await reportAll([set("s", 10, 10), add("after", 3, 20), add("before", 100, 0), set("older", 50, 5)]);
    expect(await level()).toBe(13);
  });

  test("is not moved by an older set", async () => {
    await reportAll([set("s", 10, 10), add("a", 1, 20)]);
    await reportAll([set("older", 50, 5)]);
    expect(await level()).toBe(11);
  });

  test("excludes additions at the time of the set, because the set includes them", async () => {
    await reportAll([set("s", 10, 10)]);
    await reportAll([add("same-moment", 3, 10)]);
    expect(await level()).toBe(10);
    await reportAll([add("earlier-reported", 7, 30)]);
    await reportAll([set("again", 20, 30)]);
    expect(await level()).toBe(20);
  });

  test.each([
    ["a", "b"],
    ["b", "a"],
  ])("of two sets at one time is that of the greater name, in the order %s, %s too", async (first, second) => {
    const sets: Record<string, Use> = { a: set("a", 1, 10), b: set("b", 2, 10) };
    for (const name of [first, second]) await reportAll([sets[name]]);
    expect(await level()).toBe(2);
  });

  test("of two sets at one time: the source is compared before the id", async () => {
    const sets = [move("z", "set", 1, 10, { source: "a" }), move("a", "set", 2, 10, { source: "a b" }), move("zz", "set", 3, 10)];
    for (const event of sets) await reportAll([event]);
    expect(await level()).toBe(2);
  });

  test("may be set to 0", async () => {
    await reportAll([add("a", 5, 0), set("s", 0, 1)]);
    expect(await level()).toBe(0);
  });

  test("continues at midnight, and includes late reports", async () => {
    await reportAll([set("s", 10, 0)]);
    await setClock("2031-05-15T00:00:10Z");
    expect(outcomes(await reportAll([add("yesterday", 1, 3_600), { ...add("today", 1, 0), occurred_at: "2031-05-15T00:00:05Z" }]))).toEqual(
      ["200 counted", "200 counted"],
    );
    expect(await moved()).toMatchObject({ gauges: { [GAUGE]: 12 }, counters: {}, adjustments: {} });
  });

  test("is correct if a set is as old as allowed", async () => {
    await setClock("2031-05-10T00:00:00Z");
    await reportAll([{ ...add("a", 4, 0), occurred_at: "2031-05-10T00:00:00Z" }]);
    await setClock("2031-06-10T23:59:59Z");
    await reportAll([{ ...set("s", 10, 0), occurred_at: "2031-05-09T23:59:59Z" }]);
    expect(await level()).toBe(14);
  });
});

describe("regardless of the order", () => {
  interface Known {
    readonly uses: readonly Use[];
    readonly levels: Record<string, number>;
  }

  /** Thirty events of two gauges, and the levels computed from them. Many events share a time. */
  function story(random: () => number): Known {
    const below = (count: number): number => Math.floor(random() * count);
    const uses = Array.from({ length: 30 }, (_, index): Use => {
      const mode = random() < 0.25 ? "set" : "add";
      const quantity = mode === "set" ? below(50) : (below(9) + 1) * (random() < 0.5 ? 1 : -1);
      const more = { project_id: random() < 0.7 ? "one" : "two", source: random() < 0.5 ? "x" : "" };
      return move(`m${index}`, mode, quantity, below(12), more);
    });
    const levels: Record<string, number> = {};
    for (const project of ["one", "two"]) {
      // Events are ordered by time. Of those with the same time, additions come before sets, and sets are ordered by name.
      const place = ({ occurred_at, mode, source, id }: Use): string => `${occurred_at} ${mode} ${source} ${id}`;
      const own = uses.filter(({ project_id }) => project_id === project).toSorted((a, b) => (place(a) < place(b) ? -1 : 1));
      const end = own.reduce((sum, { mode, quantity = 1 }) => (mode === "set" ? quantity : sum + quantity), 0);
      if (own.length > 0) levels[`${project} realtime_connections`] = end;
    }
    return { uses, levels };
  }

  test("sixty shuffled sequences in reports of one to thirty moves, some repeated, end at the model's level", async () => {
    const random = seeded(7);
    for (let round = 0; round < 60; round += 1) {
      await env.DB.batch([env.DB.prepare("DELETE FROM usage_events"), env.DB.prepare("DELETE FROM gauges")]);
      const { uses, levels } = story(random);
      const reports = shuffled([...uses, ...uses.slice(0, 5)], random);
      for (const part of split(reports, 1 + Math.floor(random() * 30))) await reportAll(part);
      expect({ round, levels: await gauges() }).toEqual({ round, levels });
    }
  });

  test("one sequence, reported concurrently, one move at a time", async () => {
    const { uses, levels } = story(seeded(11));
    const reports = shuffled([...uses, ...uses], seeded(12));
    await concurrently(reports.length, 8, async (index) => reportAll(reports.slice(index, index + 1)));
    expect(await gauges()).toEqual(levels);
  });
});

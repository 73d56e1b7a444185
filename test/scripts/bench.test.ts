import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { inTurns, ratio } from "../../scripts/bench/measure.ts";
import { commandLine, optionsFrom } from "../../scripts/bench/options.ts";
import { readOptions } from "../../scripts/lib/options.ts";
import { ratiosOf, rotated, summaryOf } from "../../scripts/bench/statistics.ts";
import { figure, isMet, tableOf } from "../../scripts/bench/table.ts";
import { run } from "../support/node/process.ts";

const MEASURES = ["grant", "refuse", "sweep"].map((name) => ({ name, about: name, run: async () => [] }));
const read = (...args: string[]) => {
  const given = readOptions(commandLine(MEASURES), args);
  return given && optionsFrom(given.values, MEASURES);
};

describe("the options of npm run bench", () => {
  it("are all measures, in full, with three rounds", () => {
    const { measures, scale, json } = read() ?? {};
    expect(measures?.map(({ name }) => name)).toEqual(["grant", "refuse", "sweep"]);
    expect(scale).toMatchObject({
      rounds: 3,
      seconds: 2,
      connections: [1, 16, 64],
      projects: [1_000, 10_000, 100_000],
      organizations: 10_000,
    });
    expect(json).toBeNull();
  });

  it("make it small with --quick, and exact where more is said", () => {
    expect(read("--quick", "--rounds", "5")?.scale).toMatchObject({ rounds: 5, seconds: 0.4, connections: [16], projects: [200] });
    expect(read("--quick", "--seconds=0.1")?.scale).toMatchObject({ rounds: 3, seconds: 0.1 });
  });

  it("pick measures, in the order of a run", () => {
    expect(read("--only", "sweep", "--only", "refuse, grant")?.measures.map(({ name }) => name)).toEqual(["grant", "refuse", "sweep"]);
    expect(read("--only", "sweep")?.measures.map(({ name }) => name)).toEqual(["sweep"]);
  });

  it("say where hono-rate-limiter is, or that it takes no part", () => {
    expect([read()?.limiter, read("--limiter", "/x")?.limiter, read("--no-limiter")?.limiter]).toEqual([
      join(tmpdir(), "quota-coordinator-bench"),
      "/x",
      null,
    ]);
  });

  it("ask for help", () => {
    expect(read("--help", "--rounds", "no")).toBeNull();
  });

  it.each([
    [["--rounds", "2"], '--rounds is "2"; expected a whole number from 3 to 50'],
    [["--rounds", "3.5"], '--rounds is "3.5"; expected a whole number from 3 to 50'],
    [["--seconds", ""], '--seconds is ""; expected a number from 0.1 to 60'],
    [["--seconds", "61"], '--seconds is "61"; expected a number from 0.1 to 60'],
    [["--only", "sweep,grants"], '--only is "grants"; expected one of grant, refuse, sweep'],
    [["--fast"], "Unknown option --fast; expected one of --quick, --only,"],
  ])("%j is refused, with what was expected", (args, message) => {
    expect(() => read(...args)).toThrow(message);
  });
});

describe("the rounds", () => {
  it("are summed up as the median and the range", () => {
    expect(summaryOf([3, 1, 20])).toEqual({ median: 3, least: 1, most: 20 });
    expect(summaryOf([4, 1, 2, 3])).toEqual({ median: 2.5, least: 1, most: 4 });
    expect(() => summaryOf([])).toThrow("no round");
  });

  it("are compared one by one", () => {
    expect(ratiosOf([10, 30], [5, 10])).toEqual([2, 3]);
  });

  it("begin with another contender each, and each takes part in all", async () => {
    const order: string[] = [];
    const contender = (name: string) => ({
      name,
      run: async (round: number) => {
        order.push(`${name}${round}`);
        return round;
      },
    });
    const series = await inTurns(3, "ms", [contender("a"), contender("b")]);
    expect(order).toEqual(["a0", "b0", "b1", "a1", "a2", "b2"]);
    expect(series).toEqual(["a", "b"].map((name) => ({ contender: name, unit: "ms", rounds: [0, 1, 2] })));
    expect(rotated(["a", "b", "c"], 4)).toEqual(["b", "c", "a"]);
  });

  it("have no ratio to a contender that took no part", () => {
    const series = [{ contender: "ours", unit: "ms" as const, rounds: [1] }];
    expect(ratio(series, "ours", "theirs", { least: 1 })).toEqual([]);
  });
});

describe("the table", () => {
  it("shows three figures", () => {
    expect([0, 0.01234, 0.5, 1.239, 45.67, 123.4, 98_765.4].map(figure)).toEqual(["0", "0.0123", "0.500", "1.24", "45.7", "123", "98,765"]);
  });

  it("knows by the median whether a target was met", () => {
    const rounds = [0.8, 0.9, 2];
    const met = (target: object) => isMet({ of: "a", to: "b", rounds, target });
    expect([met({ least: 0.9 }), met({ least: 0.91 }), met({ most: 0.9 }), met({ most: 0.89 })]).toEqual([true, false, true, false]);
    expect(isMet({ of: "a", to: "b", rounds })).toBeNull();
  });

  it("aligns contenders, and names what was missed", () => {
    const series = [
      { contender: "ours", unit: "req/s" as const, rounds: [900, 1_000, 1_100] },
      { contender: "theirs", unit: "req/s" as const, rounds: [2_000], note: "also answered 500 ×3" },
    ];
    const ratios = [{ of: "ours", to: "theirs", rounds: [0.45, 0.5, 0.55], target: { least: 0.9 } }];
    expect(tableOf({ title: "grant", series, ratios }).split("\n")).toEqual([
      "grant",
      "  ours           1,000  req/s  900 to 1,100",
      "  theirs         2,000  req/s                  also answered 500 ×3",
      "  ours / theirs  0.500  ×      0.450 to 0.550  at least 0.9: MISSED",
      "",
    ]);
  });
});

describe("npm run bench", () => {
  it("shows what is wrong with an option without a stack", async () => {
    expect(await run(["scripts/bench.ts", "--only=nothing"])).toMatchObject({
      code: 1,
      output: expect.stringMatching(/^--only is "nothing"; expected one of grant, refuse, [\w, ]+\n$/u) as unknown,
    });
  });
});

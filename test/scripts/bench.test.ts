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
  it("default to all measures in full size with three rounds", () => {
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

  it("reduce the sizes with --quick, which other options override", () => {
    expect(read("--quick", "--rounds", "5")?.scale).toMatchObject({ rounds: 5, seconds: 0.4, connections: [16], projects: [200] });
    expect(read("--quick", "--seconds=0.1")?.scale).toMatchObject({ rounds: 3, seconds: 0.1 });
  });

  it("select measures, in the order of a run", () => {
    expect(read("--only", "sweep", "--only", "refuse, grant")?.measures.map(({ name }) => name)).toEqual(["grant", "refuse", "sweep"]);
    expect(read("--only", "sweep")?.measures.map(({ name }) => name)).toEqual(["sweep"]);
  });

  it("set or omit the folder of hono-rate-limiter", () => {
    expect([read()?.limiter, read("--limiter", "/x")?.limiter, read("--no-limiter")?.limiter]).toEqual([
      join(tmpdir(), "quota-coordinator-bench"),
      "/x",
      null,
    ]);
  });

  it("return null for --help", () => {
    expect(read("--help", "--rounds", "no")).toBeNull();
  });

  it.each([
    [["--rounds", "2"], '--rounds must be a whole number from 3 to 50 (got "2").'],
    [["--rounds", "3.5"], '--rounds must be a whole number from 3 to 50 (got "3.5").'],
    [["--seconds", ""], '--seconds must be a number from 0.1 to 60 (got "").'],
    [["--seconds", "61"], '--seconds must be a number from 0.1 to 60 (got "61").'],
    [["--only", "sweep,grants"], '--only must be one of grant, refuse, sweep (got "grants").'],
    [["--fast"], "Unknown option --fast. Options: --quick, --only,"],
  ])("%j is refused with the accepted values", (args, message) => {
    expect(() => read(...args)).toThrow(message);
  });
});

describe("the rounds", () => {
  it("are summarized as median and range", () => {
    expect(summaryOf([3, 1, 20])).toEqual({ median: 3, least: 1, most: 20 });
    expect(summaryOf([4, 1, 2, 3])).toEqual({ median: 2.5, least: 1, most: 4 });
    expect(() => summaryOf([])).toThrow("at least one round");
  });

  it("are compared round by round", () => {
    expect(ratiosOf([10, 30], [5, 10])).toEqual([2, 3]);
  });

  it("rotate the order of the contenders", async () => {
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

  it("have no ratio to a missing contender", () => {
    const series = [{ contender: "ours", unit: "ms" as const, rounds: [1] }];
    expect(ratio(series, "ours", "theirs", { least: 1 })).toEqual([]);
  });
});

describe("the table", () => {
  it("shows three significant digits", () => {
    expect([0, 0.01234, 0.5, 1.239, 45.67, 123.4, 98_765.4].map(figure)).toEqual(["0", "0.0123", "0.500", "1.24", "45.7", "123", "98,765"]);
  });

  it("compares the median with the target", () => {
    const rounds = [0.8, 0.9, 2];
    const met = (target: object) => isMet({ of: "a", to: "b", rounds, target });
    expect([met({ least: 0.9 }), met({ least: 0.91 }), met({ most: 0.9 }), met({ most: 0.89 })]).toEqual([true, false, true, false]);
    expect(isMet({ of: "a", to: "b", rounds })).toBeNull();
  });

  it("aligns columns and marks missed targets", () => {
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
  it("prints an invalid option without a stack", async () => {
    expect(await run(["scripts/bench.ts", "--only=nothing"])).toMatchObject({
      code: 1,
      output: expect.stringMatching(/^--only must be one of grant, refuse, [\w, ]+ \(got "nothing"\)\.\n$/u) as unknown,
    });
  });
});

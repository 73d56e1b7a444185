/** One real run of the benchmark. Part of `npm run test:soak`, because it takes 15 seconds. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { run } from "../support/node/process.ts";

describe("npm run bench", () => {
  const folder = mkdtempSync(join(tmpdir(), "bench-test-"));
  afterAll(() => rmSync(folder, { recursive: true }));

  it("measures the product, writes the results and removes its files", async () => {
    const json = join(folder, "figures.json");
    const args = ["scripts/bench.ts", "--quick", "--only=batch", "--seconds=0.1", "--no-limiter", `--json=${json}`];
    const { code, output } = await run(args, { TMPDIR: folder });
    expect(output).toContain("batch-direct, fully cached");
    expect(code).toBe(0);
    const { scale, measures } = JSON.parse(readFileSync(json, "utf8")) as {
      scale: { rounds: number };
      measures: { measure: string; outcomes: { series: { contender: string; unit: string; rounds: number[] }[] }[] }[];
    };
    expect(scale.rounds).toBe(3);
    const series = measures.flatMap(({ measure, outcomes }) =>
      outcomes.flatMap((outcome) => outcome.series.map((each) => ({ measure, ...each }))),
    );
    expect(series.map(({ measure, contender, unit, rounds }) => [measure, contender, unit, rounds.length])).toEqual([
      ["batch", "1 ISBN", "ms", 3],
      ["batch", "1,000 ISBNs", "ms", 3],
    ]);
    expect(series.flatMap(({ rounds }) => rounds).every((round) => round > 0)).toBe(true);
    expect(readdirSync(folder)).toEqual(["figures.json"]);
    expect(existsSync(json)).toBe(true);
  });
});

/** Prints results as a table. No I/O. */
import type { Outcome, Ratio, Series, Target } from "./measure.ts";
import { summaryOf } from "./statistics.ts";

/** Results on a shared machine are not more exact than three digits. */
const SIGNIFICANT = 3;

export function figure(value: number): string {
  if (value === 0) return "0";
  const digits = Math.abs(value) >= 100 ? 0 : Math.max(0, SIGNIFICANT - 1 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function range(rounds: readonly number[]): string {
  const { least, most } = summaryOf(rounds);
  return rounds.length === 1 ? "" : `${figure(least)} to ${figure(most)}`;
}

/** Whether the median meets the target. */
export function isMet({ rounds, target }: Ratio): boolean | null {
  if (target === undefined) return null;
  const { median } = summaryOf(rounds);
  return median >= (target.least ?? -Infinity) && median <= (target.most ?? Infinity);
}

const bounds = ({ least, most }: Target): string => (least === undefined ? `at most ${most ?? ""}` : `at least ${least}`);

function seriesRow({ contender, unit, rounds, note }: Series): string[] {
  return [contender, figure(summaryOf(rounds).median), unit, range(rounds), note ?? ""];
}

function ratioRow(ratio: Ratio): string[] {
  const met = isMet(ratio);
  const verdict = ratio.target === undefined ? "" : `${bounds(ratio.target)}: ${met ? "met" : "MISSED"}`;
  return [`${ratio.of} / ${ratio.to}`, figure(summaryOf(ratio.rounds).median), "×", range(ratio.rounds), verdict];
}

/** Table of an outcome with aligned columns. */
export function tableOf({ title, series, ratios }: Outcome): string {
  const rows = [...series.map(seriesRow), ...ratios.map(ratioRow)];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => {
    const cells = row.map((cell, column) => (column === 1 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)));
    return `  ${cells.join("  ")}`.trimEnd();
  });
  return [title, ...lines, ""].join("\n");
}

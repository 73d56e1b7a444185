/** Rounds as one number and its range. No I/O. */

export interface Summary {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** Throws where there is none: a measure without a round says nothing. */
export function summaryOf(rounds: readonly number[]): Summary {
  const sorted = rounds.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [least, most, upper] = [sorted[0], sorted.at(-1), sorted[middle]];
  if (least === undefined || most === undefined || upper === undefined) throw new Error("There is no round to sum up");
  const lower = sorted.length % 2 === 0 ? (sorted[middle - 1] ?? upper) : upper;
  return { median: (lower + upper) / 2, least, most };
}

/** Each round by its own counterpart: what disturbed one disturbed the other. */
export function ratiosOf(ours: readonly number[], theirs: readonly number[]): number[] {
  return ours.map((value, round) => value / (theirs[round] ?? Number.NaN));
}

/** In each round another one begins, so that nobody always runs in the wake of the same. */
export function rotated<Item>(items: readonly Item[], round: number): Item[] {
  const from = items.length === 0 ? 0 : round % items.length;
  return [...items.slice(from), ...items.slice(0, from)];
}

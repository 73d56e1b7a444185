/** Compares two records that must agree, and describes their differences. No I/O. */

export class Comparison {
  readonly discrepancies: string[] = [];

  same(what: string, found: unknown, expected: unknown): void {
    const [one, other] = [JSON.stringify(found), JSON.stringify(expected)];
    if (one !== other) this.discrepancies.push(`${what}: ${one}, expected ${other}`);
  }

  within(what: string, found: number, { least, most }: { readonly least: number; readonly most: number }): void {
    if (found < least || found > most) this.discrepancies.push(`${what}: ${found}, expected ${least} to ${most}`);
  }

  holds(what: string, is: boolean): void {
    if (!is) this.discrepancies.push(what);
  }

  none(what: string, items: Iterable<unknown>): void {
    const all = [...items];
    if (all.length > 0) this.discrepancies.push(`${what}: ${all.length}, such as ${JSON.stringify(all.slice(0, 5))}`);
  }
}

export const total = (numbers: Iterable<number>): number => {
  let sum = 0;
  for (const number of numbers) sum += number;
  return sum;
};

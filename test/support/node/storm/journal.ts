/** What a storm's clients saw: every answer by what was asked and how it was answered, and what nobody knows. No I/O. */

/** Between a refusal and the unit that is given back beside it. */
const GIVEN_BACK_WITHIN_MS = 1_000;
/** An answer may be read a little after the death of whoever sent it. */
const READ_WITHIN_MS = 500;

/** What a project's metered requests came to. */
interface MeterBook {
  /** Answered in a way that counts. */
  sure: number;
  /** The answer was lost: perhaps counted. */
  lost: number;
  /** When those were refused whose unit is given back beside the answer; a kill may come between. */
  readonly givenBackAt: number[];
}

export class Journal {
  readonly answers = new Map<string, Map<string, number>>();
  readonly figures = new Map<string, number>();
  /** What must never happen, in words. */
  readonly faults: string[] = [];
  /** When the Worker was killed, or its objects were. */
  readonly brokenAt: number[] = [];
  /** What projects were given, and when. */
  readonly served: { readonly project: string; readonly askedAt: number; readonly answeredAt: number }[] = [];
  readonly #meters = new Map<string, MeterBook>();

  answered(kind: string, status: string): void {
    const statuses = this.answers.get(kind) ?? new Map<string, number>();
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
    this.answers.set(kind, statuses);
  }

  count(name: string, by = 1): void {
    this.figures.set(name, this.figure(name) + by);
  }

  figure(name: string): number {
    return this.figures.get(name) ?? 0;
  }

  fault(words: string): void {
    this.faults.push(words);
  }

  meter(project: string, meter: string): MeterBook {
    const name = `${project} ${meter}`;
    const book = this.#meters.get(name) ?? { sure: 0, lost: 0, givenBackAt: [] };
    this.#meters.set(name, book);
    return book;
  }

  /** The least and the most that a counter may show. */
  bounds(project: string, meter: string): { readonly least: number; readonly most: number } {
    const { sure, lost, givenBackAt } = this.meter(project, meter);
    const cut = givenBackAt.filter((at) =>
      this.brokenAt.some((broken) => broken >= at - READ_WITHIN_MS && broken - at < GIVEN_BACK_WITHIN_MS),
    ).length;
    return { least: sure, most: sure + lost + cut };
  }
}

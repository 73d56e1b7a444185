/** The clients' records of a storm: every response by request and result, and the number of lost responses. No I/O. */

/** Longest time between a refusal and the return of its use in the background. */
const GIVEN_BACK_WITHIN_MS = 1_000;
/** A response may be read shortly after its sender was killed. */
const READ_WITHIN_MS = 500;

/** Results of a project's metered requests. */
interface MeterBook {
  /** Number of requests whose response shows that they count. */
  sure: number;
  /** Number of requests whose response was lost. They may be counted. */
  lost: number;
  /** Times of refusals whose use is returned in the background. A kill may come first. */
  readonly givenBackAt: number[];
}

export class Journal {
  readonly answers = new Map<string, Map<string, number>>();
  readonly figures = new Map<string, number>();
  /** Descriptions of forbidden events. */
  readonly faults: string[] = [];
  /** When the Worker or its objects were killed. */
  readonly brokenAt: number[] = [];
  /** Requests to projects by time. */
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

  /** The accepted range of a counter. */
  bounds(project: string, meter: string): { readonly least: number; readonly most: number } {
    const { sure, lost, givenBackAt } = this.meter(project, meter);
    const cut = givenBackAt.filter((at) =>
      this.brokenAt.some((broken) => broken >= at - READ_WITHIN_MS && broken - at < GIVEN_BACK_WITHIN_MS),
    ).length;
    return { least: sure, most: sure + lost + cut };
  }
}

/** What other tests of reliability did, in figures that stand on the page: taken from their own output, and dated. */

export interface Figure {
  /** What was done, in words that follow a number. */
  readonly what: string;
  readonly value: number;
}

export interface Exercise {
  readonly title: string;
  /** What was exercised, and what had to hold. A sentence or two of Markdown. */
  readonly about: string;
  readonly command: string;
  /** YYYY-MM-DD. */
  readonly on: string;
  readonly figures: readonly Figure[];
}

/** The storm over HTTP, the model test, and their like. */
export const EXERCISES: readonly Exercise[] = [];

/** Figures of the other reliability tests, from their own output, with the date of the run. */

export interface Figure {
  readonly label: string;
  readonly value: number;
}

export interface Exercise {
  readonly title: string;
  readonly command: string;
  /** YYYY-MM-DD. */
  readonly on: string;
  readonly figures: readonly Figure[];
}

export const STORM: Exercise = {
  title: "Storm",
  command: "STORM_SEED=101 npm run test:soak",
  on: "2026-11-23",
  figures: [
    { value: 8_975, label: "requests" },
    { value: 1_221, label: "requests cut off by a kill" },
    { value: 30, label: "kills of the Worker" },
    { value: 42, label: "aborts of all objects" },
    { value: 106, label: "evictions" },
    { value: 962, label: "provider faults" },
    { value: 7, label: "kills of a harvest" },
    { value: 2_958, label: "calls billed" },
    { value: 3_317, label: "calls charged" },
    { value: 0, label: "contradictions between the counts" },
  ],
};

export const MODEL: Exercise = {
  title: "Model",
  command: "npm run test:soak",
  on: "2026-11-22",
  figures: [
    { value: 10_000, label: "sequences" },
    { value: 0, label: "differences" },
  ],
};

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

export const EXERCISES: readonly Exercise[] = [
  {
    title: "A storm over everything",
    about:
      "The built Worker, the simulator, three harvests, fifty clients, ticks, operators, webhooks and backups at once for five minutes, while the provider misbehaves, objects are evicted or broken off, and the Worker is killed and started again on what is on its disk. Afterwards the provider's count, ledger, callers, tenants' counters and rows, jobs, deliveries and checkpoints balance.",
    command: "STORM_SEED=101 npm run test:soak",
    on: "2026-11-23",
    figures: [
      { value: 8_975, what: "requests" },
      { value: 1_221, what: "of them cut off by a kill" },
      { value: 30, what: "kills of the Worker" },
      { value: 42, what: "times that all objects were aborted" },
      { value: 106, what: "evictions" },
      { value: 962, what: "misbehaviours of the provider" },
      { value: 7, what: "kills of a harvest" },
      { value: 2_958, what: "calls billed" },
      { value: 3_317, what: "charged" },
      { value: 0, what: "losses" },
    ],
  },
  {
    title: "A model of the ledger",
    about:
      "Random sequences of everything that can be asked of the ledger and can happen to it, beside a reference model that is written for reading; every law is looked at after every step. `npm test` runs 150 sequences.",
    command: "npm run test:soak",
    on: "2026-11-22",
    figures: [
      { value: 10_000, what: "sequences" },
      { value: 0, what: "disagreements" },
    ],
  },
];

/** Random operations on a ledger. fast-check can shrink them to the shortest sequence that still fails. */
import * as fc from "fast-check";
import type { Limits, Terms } from "./reference-types.ts";

/**
 * The time when a request was sent. `fraction`: relative to its reservation, where 0 is the opening and 1 is about now. Values outside are
 * invalid times. `fromMidnight`: milliseconds after the nearest midnight.
 */
export type SendTime = { readonly fraction: number } | { readonly fromMidnight: number };

/** A provider count, and the milliseconds since its request. */
export interface Count {
  readonly spent: number;
  readonly age: number;
}

export type Operation =
  | { readonly does: "reserve"; readonly id: string; readonly terms: Terms }
  | {
      readonly does: "commit";
      readonly id: string;
      readonly calls: number | null;
      readonly sent: SendTime | null;
      readonly counted: Count | null;
    }
  | { readonly does: "release" | "abandon"; readonly id: string }
  | { readonly does: "add"; readonly id: string; readonly caller: string; readonly calls: number }
  | { readonly does: "pass"; readonly milliseconds: number }
  /** To the next midnight plus `offset` milliseconds, which may be negative. */
  | { readonly does: "go to midnight"; readonly offset: number }
  | { readonly does: "evict" | "alarm" }
  | { readonly does: "reset"; readonly fresh: Count | null }
  | { readonly does: "KV"; readonly fails: boolean }
  | { readonly does: "set usage"; readonly used: number; readonly fresh: Count | null }
  | { readonly does: "observe"; readonly counted: Count }
  | { readonly does: "change"; readonly limits: Partial<Limits> };

/** Plain objects, because fast-check's own have no prototype and cannot be sent to the ledger. */
const record = <Shape extends object>(shape: { [Name in keyof Shape]: fc.Arbitrary<Shape[Name]> }): fc.Arbitrary<Shape> =>
  fc.record<Shape>(shape, { noNullPrototype: true });

/** Null in one of `freq` + 1 cases. */
const orNull = <Value>(value: fc.Arbitrary<Value>, freq: number): fc.Arbitrary<Value | null> => fc.option(value, { freq, nil: null });

/** Few ids, so that duplicate and reordered requests occur. */
const id = fc.integer({ min: 0, max: 6 }).map((n) => `r${n}`);
/** Enough projects to exceed the projects' common limit of reserved calls. */
const caller = fc.oneof(
  fc.constantFrom("enrich.batch", "cron.harvest"),
  fc.integer({ min: 1, max: 7 }).map((n) => `project:${n}`),
);
const SECOND = 1_000;

const terms: fc.Arbitrary<Terms> = record({
  calls: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 60 })),
  minCalls: orNull(fc.integer({ min: 1, max: 20 }), 2),
  caller,
  priority: fc.constantFrom("interactive" as const, "background" as const),
  ttlSeconds: fc.constantFrom(1, 10, 30, 120, 3_600),
  share: orNull(fc.integer({ min: 0, max: 60 }), 1),
});
const validTerms = terms.map((each) => ({ ...each, minCalls: each.minCalls === null ? null : Math.min(each.minCalls, each.calls) }));

const sendTime: fc.Arbitrary<SendTime> = fc.oneof(
  record({ fraction: fc.double({ min: -0.1, max: 1.1, noNaN: true }) }),
  record({ fromMidnight: fc.integer({ min: -8 * SECOND, max: 8 * SECOND }) }),
);

const limits: fc.Arbitrary<Partial<Limits>> = fc.record(
  {
    dailyLimit: fc.integer({ min: 0, max: 250 }),
    safetyBuffer: fc.integer({ min: 0, max: 60 }),
    backgroundFloor: fc.integer({ min: 0, max: 60 }),
    enforcement: fc.constantFrom("enforce" as const, "enforce" as const, "observe" as const, "off" as const),
  },
  { requiredKeys: [], noNullPrototype: true },
);

const of = <const Does extends Operation["does"]>(does: Does) => fc.constant(does);

const passing = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -4 * SECOND, max: 40 * SECOND }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 3_600 * SECOND }) },
);
const aroundMidnight = fc.oneof(fc.integer({ min: -10 * SECOND, max: 10 * SECOND }), fc.integer({ min: 0, max: 130 * SECOND }));
const charged = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 70 }));
const count: fc.Arbitrary<Count> = record({
  spent: fc.integer({ min: 0, max: 300 }),
  age: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: 60 * SECOND }) }),
});

/** Operations with their relative frequency. */
const WEIGHTED: readonly (readonly [number, fc.Arbitrary<Operation>])[] = [
  [10, record({ does: of("reserve"), id, terms: validTerms })],
  [8, record({ does: of("commit"), id, calls: orNull(charged, 2), sent: orNull(sendTime, 2), counted: orNull(count, 1) })],
  [3, record({ does: fc.constantFrom("release" as const, "abandon" as const), id })],
  [2, record({ does: of("add"), id, caller, calls: fc.integer({ min: 0, max: 20 }) })],
  // Mostly shorter than a reservation's lifetime, sometimes longer, sometimes a few seconds back.
  [5, record({ does: of("pass"), milliseconds: passing })],
  [1, record({ does: of("go to midnight"), offset: aroundMidnight })],
  [1, record({ does: fc.constantFrom("evict" as const, "alarm" as const, "alarm" as const) })],
  [1, record({ does: of("reset"), fresh: orNull(count, 3) })],
  [1, record({ does: of("KV"), fails: fc.boolean() })],
  [1, record({ does: of("set usage"), used: fc.integer({ min: 0, max: 250 }), fresh: orNull(count, 3) })],
  [2, record({ does: of("observe"), counted: count })],
  [1, record({ does: of("change"), limits })],
];

const operation: fc.Arbitrary<Operation> = fc.oneof(...WEIGHTED.map(([weight, arbitrary]) => ({ weight, arbitrary })));

export const operations: fc.Arbitrary<Operation[]> = fc.array(operation, { minLength: 1, maxLength: 60, size: "max" });

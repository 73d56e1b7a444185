/** The four caps and what they mean. No I/O. No clock. */
import { CAP_TYPES } from "../../store/limits/meters.ts";
import type { CapType } from "../../store/limits/meters.ts";

/** null: unlimited. 0: nothing at all. */
export type CapValue = number | null;
export type CapValues = Readonly<Record<CapType, CapValue>>;
/** Some of them. */
export type SomeCaps = { readonly [Type in CapType]?: CapValue | undefined };

/** Far above every plan; a hundred times it is still an exact integer, which the comparison with a percentage needs. */
export const MAX_CAP = 1_000_000_000_000;

interface Cap {
  /** A counter counts up within a UTC day; a gauge is a level that goes up and down. */
  readonly kind: "counter" | "gauge";
  readonly byDefault: number;
}

export const CAPS = {
  db_queries_per_day: { kind: "counter", byDefault: 10_000 },
  realtime_connections: { kind: "gauge", byDefault: 100 },
  storage_uploads_per_day: { kind: "counter", byDefault: 1_000 },
  function_invocations_per_day: { kind: "counter", byDefault: 5_000 },
} as const satisfies Record<CapType, Cap>;

export function withDefaults(given: SomeCaps): CapValues {
  return Object.fromEntries(
    CAP_TYPES.map((type) => [type, given[type] === undefined ? CAPS[type].byDefault : given[type]]),
  ) as unknown as CapValues;
}

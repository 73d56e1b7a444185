/** The four caps. No I/O. No clock. */
import { CAP_TYPES } from "../../store/limits/meters.ts";
import type { CapType } from "../../store/limits/meters.ts";

/** null: unlimited. 0: nothing is allowed. */
export type CapValue = number | null;
export type CapValues = Readonly<Record<CapType, CapValue>>;
/** A subset of the caps. */
export type SomeCaps = { readonly [Type in CapType]?: CapValue | undefined };

/** Far above every plan. A hundred times this value is still an exact integer, which the comparison with percentages needs. */
export const MAX_CAP = 1_000_000_000_000;

interface Cap {
  /** A counter adds up within a UTC day. A gauge is a level that rises and falls. */
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

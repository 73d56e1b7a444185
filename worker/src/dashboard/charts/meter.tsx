/** Bar for usage of a limit or a share of a total. Hidden from screen readers because the numbers are next to it. */
import type { CapState } from "../../tenants/limits/thresholds.ts";
import { round } from "./responsive.tsx";

interface MeterProps {
  /** 0 to 100, higher above the limit, or null if unknown or unlimited. */
  readonly percent: number | null;
  readonly state: CapState | "share" | "untracked";
}

export function Meter({ percent, state }: MeterProps) {
  const filled = Math.min(100, Math.max(0, percent ?? 0));
  return (
    <svg class="meter" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
      <rect class={percent === null ? "track none" : "track"} width="100" height="8" />
      {filled > 0 ? <rect class={`fill ${state}`} width={round(Math.max(0.8, filled))} height="8" /> : null}
    </svg>
  );
}

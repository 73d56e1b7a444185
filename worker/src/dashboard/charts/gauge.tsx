/** Today's quota in one bar: used, untracked, reserved and remaining calls, and the buffer. */
import { scaleLinear } from "d3-scale";
import type { QuotaStatus } from "../../quota/index.ts";
import { formatCount } from "../format.ts";
import { Responsive, round } from "./responsive.tsx";
import type { Canvas } from "./responsive.tsx";

const BAR = { top: 6, height: 26 };
const LABELS_TOP = 50;

/** `charged` counts calls reported by callers. */
export function partsOf({ used, reserved, upstream }: QuotaStatus): Record<"charged" | "untracked" | "reserved", number> {
  const untracked = Math.max(0, upstream?.untracked ?? 0);
  return { charged: Math.max(0, used - untracked), untracked, reserved };
}

export function Gauge({ status }: { readonly status: QuotaStatus }) {
  const { used, safety_limit: safety, daily_limit: daily, remaining } = status;
  const parts = partsOf(status);
  const end = Math.max(daily, used + parts.reserved, 1);
  const label = `${formatCount(used)} of ${formatCount(safety)} calls used, ${formatCount(parts.reserved)} reserved, ${formatCount(remaining)} left. The provider sells ${formatCount(daily)}.`;
  const draw = ({ size, width }: Canvas) => {
    const x = scaleLinear([0, end], [0, width]);
    const segments = [
      { name: "charged", from: 0, to: parts.charged },
      { name: "untracked", from: parts.charged, to: used },
      { name: "reserved", from: used, to: used + parts.reserved },
    ].filter(({ from, to }) => to > from);
    const pattern = `reserved-${size}`;
    const clip = `gauge-${size}`;
    return (
      <>
        <defs>
          <pattern id={pattern} width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
            <rect class="reserved-ground" width="6" height="6" />
            <rect class="reserved-stripe" width="3" height="6" />
          </pattern>
          <clipPath id={clip}>
            <rect x="0" y={BAR.top} width={width} height={BAR.height} rx="6" />
          </clipPath>
        </defs>
        <g clip-path={`url(#${clip})`}>
          <rect class="part-free" x="0" y={BAR.top} width={width} height={BAR.height} />
          <rect class="part-buffer" x={round(x(safety))} y={BAR.top} width={round(width - x(safety))} height={BAR.height} />
          {segments.map(({ name, from, to }) => (
            <rect
              class={`part-${name}`}
              {...(name === "reserved" ? { fill: `url(#${pattern})` } : {})}
              x={round(x(from))}
              y={BAR.top}
              // Keeps a single call visible.
              width={round(Math.max(2, x(to) - x(from)))}
              height={BAR.height}
            />
          ))}
        </g>
        <Limit at={x(safety)} width={width} text={`${formatCount(safety)} limit`} />
        {size !== "small" && x(end) - x(safety) > 100 ? (
          <Limit at={x(daily)} width={width} text={`${formatCount(daily)} sold`} quiet />
        ) : null}
      </>
    );
  };
  return (
    <div class="gauge">
      <Responsive
        label={label}
        widths={{ small: 340, medium: 680, large: 1120 }}
        heights={{ small: 54, medium: 54, large: 54 }}
        draw={draw}
      />
    </div>
  );
}

interface LimitProps {
  readonly at: number;
  readonly width: number;
  readonly text: string;
  readonly quiet?: boolean;
}

function Limit({ at, width, text, quiet = false }: LimitProps) {
  const x = round(Math.min(width - 1, Math.max(1, at)));
  // The label is left of its line, because the space right of a limit is narrow.
  const anchor = x < width / 3 ? "start" : "end";
  return (
    <g class={quiet ? "limit quiet" : "limit"}>
      <line x1={x} x2={x} y1={BAR.top - 4} y2={LABELS_TOP} />
      <text x={anchor === "end" ? x - 6 : x + 6} y={LABELS_TOP} text-anchor={anchor}>
        {text}
      </text>
    </g>
  );
}

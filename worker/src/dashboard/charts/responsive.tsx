/** One drawing in three widths, so that its text stays readable. The style sheet shows the one that fits. */
import type { Child } from "hono/jsx";
import { formatCount } from "../format.ts";

export type Size = "small" | "medium" | "large";

const SIZES: readonly Size[] = ["small", "medium", "large"];

export interface Canvas {
  readonly size: Size;
  readonly width: number;
  readonly height: number;
}

interface ResponsiveProps {
  /** Description of the drawing for screen readers. */
  readonly label: string;
  readonly widths: Readonly<Record<Size, number>>;
  readonly heights: Readonly<Record<Size, number>>;
  readonly draw: (canvas: Canvas) => Child;
}

export function Responsive({ label, widths, heights, draw }: ResponsiveProps) {
  return (
    <>
      {SIZES.map((size) => {
        const [width, height] = [widths[size], heights[size]];
        return (
          <svg class={`chart ${size}`} viewBox={`0 0 ${width} ${height}`} role="img" aria-label={label}>
            {draw({ size, width, height })}
          </svg>
        );
      })}
    </>
  );
}

interface TicksProps {
  readonly at: readonly number[];
  readonly y: (calls: number) => number;
  readonly left: number;
  readonly right: number;
}

/** Horizontal lines with their numbers. */
export function Ticks({ at, y, left, right }: TicksProps) {
  return (
    <>
      {at.map((tick) => (
        <g class="tick">
          <line x1={left} x2={right} y1={round(y(tick))} y2={round(y(tick))} />
          <text x={left - 8} y={round(y(tick)) + 4} text-anchor="end">
            {formatCount(tick)}
          </text>
        </g>
      ))}
    </>
  );
}

/** Rounds to a tenth of a unit to keep pages small. */
export const round = (value: number): number => Math.round(value * 10) / 10;

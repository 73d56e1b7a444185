/** One drawing in three widths: text in a picture that is only made smaller could not be read. The style sheet shows the one that fits. */
import type { Child } from "hono/jsx";

export type Size = "small" | "medium" | "large";

const SIZES: readonly Size[] = ["small", "medium", "large"];

export interface Canvas {
  readonly size: Size;
  readonly width: number;
  readonly height: number;
}

interface ResponsiveProps {
  /** What is to be seen, in a sentence. */
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

/** To a tenth of a unit: more only makes pages longer. */
export const round = (value: number): number => Math.round(value * 10) / 10;

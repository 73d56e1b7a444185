/** Daily totals as bars. */
import { scaleBand, scaleLinear } from "d3-scale";
import { DAY_MS, dayOf } from "../../lib/time.ts";
import { quantity, dayName, formatCount } from "../format.ts";
import { Table } from "../parts.tsx";
import type { Column } from "../parts.tsx";
import { Responsive, Ticks, round } from "./responsive.tsx";
import type { Canvas } from "./responsive.tsx";

export interface DayBar {
  /** UTC day, YYYY-MM-DD. */
  readonly date: string;
  readonly used: number;
  /** Part of `used`. */
  readonly untracked?: number;
}

interface DaysChartProps<Bar extends DayBar> {
  readonly name: string;
  readonly bars: readonly Bar[];
  /** Number of days, including today. */
  readonly days: number;
  /** Today's limit, or null for unlimited. */
  readonly limit: number | null;
  readonly limitName: string;
  readonly now: number;
  /** Columns of the table after day and total. */
  readonly columns?: readonly Column<Bar>[];
  /** Whether the chart fills a third of the page's width. */
  readonly narrow?: boolean;
}

const MARGIN = { top: 20, right: 6, bottom: 24, left: 50 };

export function DaysChart<Bar extends DayBar>(props: DaysChartProps<Bar>) {
  const { name, bars, days, limit, limitName, now, columns = [], narrow = false } = props;
  const dates = Array.from({ length: days }, (_, index) => dayOf(now - (days - 1 - index) * DAY_MS));
  const most = bars.toSorted((a, b) => b.used - a.used)[0];
  const peak = most === undefined ? "no calls yet" : `at most ${formatCount(most.used)} on ${dayName(most.date, now)}`;
  const label = `${name} in the last ${days} days: ${peak}${limit === null ? "" : `, ${limitName} ${formatCount(limit)}`}.`;
  const large = narrow ? 300 : 1120;
  return (
    <figure>
      <Responsive
        label={label}
        widths={{ small: 340, medium: 680, large }}
        heights={{ small: 170, medium: narrow ? 150 : 200, large: narrow ? 170 : 210 }}
        draw={(canvas) => <Bars canvas={canvas} dates={dates} bars={bars} limit={limit} limitName={limitName} now={now} />}
      />
      <details>
        <summary>As a table</summary>
        <Table
          label={name}
          rows={bars}
          columns={[
            { name: "Day (UTC)", cell: ({ date }) => dayName(date, now) },
            { name: "Used", number: true, cell: ({ used }) => formatCount(used) },
            ...columns,
          ]}
        />
      </details>
    </figure>
  );
}

interface BarsProps extends Pick<DaysChartProps<DayBar>, "bars" | "limit" | "limitName" | "now"> {
  readonly canvas: Canvas;
  readonly dates: readonly string[];
}

function Bars({ canvas: { width, height }, dates, bars, limit, limitName, now }: BarsProps) {
  const top = Math.max(limit ?? 0, ...bars.map(({ used }) => used)) * 1.05 || 10;
  const x = scaleBand(dates, [MARGIN.left, width - MARGIN.right]).padding(width < 600 ? 0.2 : 0.3);
  const y = scaleLinear([0, top], [height - MARGIN.bottom, MARGIN.top]).clamp(true);
  const ticks = y.ticks(3).filter((tick) => limit === null || Math.abs(y(tick) - y(limit)) > 14);
  const every = width < 600 ? 10 : 5;
  return (
    <>
      <Ticks at={ticks} y={y} left={MARGIN.left} right={width - MARGIN.right} />
      {bars.map(({ date, used, untracked = 0 }) => {
        const [left, wide] = [round(x(date) ?? 0), round(x.bandwidth())];
        const state = limit !== null && used > limit ? "over" : date === dates.at(-1) ? "today" : "past";
        return (
          <g class={`bar ${state}`}>
            <title>{`${dayName(date, now)}: ${quantity(used, "call")}`}</title>
            <rect x={left} y={round(y(used))} width={wide} height={round(y(0) - y(used))} rx="2" />
            {untracked > 0 ? (
              <rect class="untracked" x={left} y={round(y(used))} width={wide} height={round(y(used - untracked) - y(used))} />
            ) : null}
          </g>
        );
      })}
      {limit === null ? null : (
        <g class="limit">
          <line x1={MARGIN.left} x2={width - MARGIN.right} y1={round(y(limit))} y2={round(y(limit))} />
          <text x={MARGIN.left + 2} y={round(y(limit)) - 5}>
            {formatCount(limit)} {limitName}
          </text>
        </g>
      )}
      {dates.map((date, index) => {
        const fromEnd = dates.length - 1 - index;
        if (fromEnd % every !== 0) return null;
        return (
          <text class="axis" x={round((x(date) ?? 0) + x.bandwidth() / 2)} y={height - 6} text-anchor={fromEnd === 0 ? "end" : "middle"}>
            {fromEnd === 0 ? "Today" : dayName(date, now)}
          </text>
        );
      })}
    </>
  );
}

/** Chart of today's usage, the forecast and the background floor. */
import { scaleLinear } from "d3-scale";
import type { QuotaOverview } from "../../quota/index.ts";
import { HOUR_MS, startOfDay } from "../../lib/time.ts";
import { clockTime, quantity, formatCount } from "../format.ts";
import { Table } from "../parts.tsx";
import { dayCurve } from "./day.ts";
import type { DayCurve, Point } from "./day.ts";
import { Responsive, Ticks, round } from "./responsive.tsx";
import type { Canvas } from "./responsive.tsx";

const MARGIN = { top: 26, right: 14, bottom: 26, left: 50 };
const HOURS = [0, 6, 12, 18, 24];

/** "17:23 UTC". */
const hourTime = ({ hour }: Point, now: number): string => clockTime(startOfDay(now) + hour * HOUR_MS);

interface DayChartProps {
  readonly status: QuotaOverview["status"];
  readonly ledger: NonNullable<QuotaOverview["ledger"]>;
  readonly now: number;
}

export function DayChart({ status, ledger, now }: DayChartProps) {
  const { used, safety_limit: limit, forecast } = status;
  const { hours, backgroundFloor } = ledger;
  const curve = dayCurve({ hours, used, limit, callsPerHour: forecast.calls_per_hour, backgroundFloor }, now);
  const end = curve.exhausts
    ? `the limit is reached at ${hourTime(curve.forecast[1], now)}`
    : `${formatCount(Math.round(curve.forecast[1].calls))} by 24:00`;
  const label = `${quantity(used, "call")} by ${clockTime(now)}. Forecast: ${end}. Limit: ${formatCount(limit)}.`;
  const untracked = used - (curve.spent.at(-1)?.calls ?? 0);
  return (
    <figure>
      <Responsive
        label={label}
        widths={{ small: 340, medium: 680, large: 600 }}
        heights={{ small: 240, medium: 280, large: 290 }}
        draw={(canvas) => <Drawing canvas={canvas} curve={curve} limit={limit} now={now} />}
      />
      <figcaption class="legend">
        <span class="key spent">Spent</span>
        {untracked > 0 ? <span class="key untracked">Untracked (hour unknown)</span> : null}
        <span class="key forecast">Forecast</span>
        {backgroundFloor > 0 ? <span class="key floor">Background limit</span> : null}
      </figcaption>
      <details>
        <summary>As a table</summary>
        <Table
          label="Calls by hour"
          rows={hours}
          columns={[
            { name: "Hour (UTC)", cell: ({ hour }) => `${String(hour).padStart(2, "0")}:00` },
            { name: "Calls", number: true, cell: ({ used: calls }) => formatCount(calls) },
          ]}
        />
      </details>
    </figure>
  );
}

interface DrawingProps {
  readonly canvas: Canvas;
  readonly curve: DayCurve;
  readonly limit: number;
  readonly now: number;
}

function Drawing({ canvas: { size, width, height }, curve, limit, now }: DrawingProps) {
  const right = width - MARGIN.right;
  const top = Math.max(limit * 1.06, curve.now.calls * 1.04, ...curve.spent.map(({ calls }) => calls), 10);
  const x = scaleLinear([0, 24], [MARGIN.left, right]);
  const y = scaleLinear([0, top], [height - MARGIN.bottom, MARGIN.top]).clamp(true);
  const atX = ({ hour }: Point): number => round(x(hour));
  const atY = ({ calls }: Point): number => round(y(calls));
  const path = (points: readonly Point[]): string => `M${points.map((point) => `${atX(point)},${atY(point)}`).join("L")}`;
  const [, forecastEnd] = curve.forecast;
  const spentNow = curve.spent.at(-1) ?? curve.now;
  const spentPath = path(curve.spent);
  // Keeps the two labels above the limit apart.
  const labelsLeft = !curve.exhausts || forecastEnd.hour > 12;
  const ticks = y.ticks(size === "small" ? 3 : 5).filter((tick) => Math.abs(y(tick) - y(limit)) > 12);
  return (
    <>
      <Ticks at={ticks} y={y} left={MARGIN.left} right={right} />
      {HOURS.map((hour) => (
        <text class="axis" x={round(x(hour))} y={height - 8} text-anchor={hour === 24 ? "end" : hour === 0 ? "start" : "middle"}>
          {String(hour).padStart(2, "0")}:00
        </text>
      ))}
      <path class="line-floor" d={path(curve.floor)} />
      <g class="limit">
        <line x1={MARGIN.left} x2={right} y1={round(y(limit))} y2={round(y(limit))} />
        <text x={labelsLeft ? MARGIN.left + 2 : right} y={round(y(limit)) - 7} text-anchor={labelsLeft ? "start" : "end"}>
          {formatCount(limit)} limit
        </text>
      </g>
      <path class="area-spent" d={`${spentPath}V${round(y(0))}H${round(x(0))}Z`} />
      <path class="line-spent" d={spentPath} />
      {spentNow.calls < curve.now.calls ? (
        <line class="line-untracked" x1={atX(curve.now)} x2={atX(curve.now)} y1={atY(spentNow)} y2={atY(curve.now)} />
      ) : null}
      <path class="line-forecast" d={path(curve.forecast)} />
      {curve.exhausts ? <End x={atX(forecastEnd)} y={atY(forecastEnd)} right={right} at={hourTime(forecastEnd, now)} /> : null}
      <circle class="dot-now" cx={atX(curve.now)} cy={atY(curve.now)} r="4.5" />
    </>
  );
}

interface EndProps {
  readonly x: number;
  readonly y: number;
  readonly right: number;
  readonly at: string;
}

function End({ x, y, right, at }: EndProps) {
  const fits = x < right - 36;
  return (
    <g class="end">
      <circle cx={x} cy={y} r="4.5" />
      <text x={fits ? x : right} y={y - 10} text-anchor={fits ? "middle" : "end"}>
        {at}
      </text>
    </g>
  );
}

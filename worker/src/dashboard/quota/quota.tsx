/** Quota page: verdict, usage by caller and hour, history and projects at risk. */
import { PROJECT_CALLER_PREFIX } from "../../quota/index.ts";
import type { DayTotal, QuotaOverview, QuotaStatus } from "../../quota/index.ts";
import { endOfDay } from "../../lib/time.ts";
import { DayChart } from "../charts/day-chart.tsx";
import { DaysChart } from "../charts/days-chart.tsx";
import { Gauge, partsOf } from "../charts/gauge.tsx";
import { Meter } from "../charts/meter.tsx";
import { quantity, duration, formatCount } from "../format.ts";
import { Card, Mark, EmptyState, Notices, Time } from "../parts.tsx";
import { noticesOf, verdictOf } from "../words.ts";
import { AtRisk } from "../limits/at-risk.tsx";
import type { Risk } from "../limits/at-risk.tsx";

export const HISTORY_DAYS = 30;
const MAX_CALLERS = 10;
const ENFORCEMENT = { enforce: "limits enforced", observe: "limits observed only", off: "limits off" } as const;

interface QuotaPageProps {
  readonly overview: QuotaOverview;
  /** null if the reader is not signed in. */
  readonly risk: Risk | null;
  readonly now: number;
}

export function QuotaPage({ overview: { status, ledger }, risk, now }: QuotaPageProps) {
  return (
    <>
      <Hero status={status} now={now} />
      <Notices all={noticesOf(status, now)} />
      <div class="columns">
        <Card title="Today" id="today" aside={<span class="muted">by hour, UTC</span>}>
          {ledger === null ? (
            <EmptyState>The ledger does not respond. This chart returns automatically.</EmptyState>
          ) : (
            <DayChart status={status} ledger={ledger} now={now} />
          )}
        </Card>
        <Card title="Usage by caller" id="callers" aside={<span class="muted">today</span>}>
          {risk === null ? <EmptyState>Sign in to see the callers.</EmptyState> : <Callers status={status} />}
        </Card>
      </div>
      {risk === null ? null : <AtRisk risk={risk} now={now} />}
      <Card title={`Last ${HISTORY_DAYS} days`} id="days" aside={<span class="muted">calls per UTC day</span>}>
        {ledger === null ? (
          <EmptyState>The ledger does not respond. This chart returns automatically.</EmptyState>
        ) : (
          <Days days={ledger.days} limit={status.safety_limit} signedIn={risk !== null} now={now} />
        )}
      </Card>
    </>
  );
}

function Hero({ status, now }: { readonly status: QuotaStatus; readonly now: number }) {
  const verdict = verdictOf(status, now);
  const { untracked, reserved } = partsOf(status);
  const { remaining, safety_limit: limit, daily_limit: daily } = status;
  return (
    <section class={`hero ${verdict.level}`} aria-labelledby="verdict">
      <div class="verdict">
        <Mark level={verdict.level} />
        <div>
          <h1 id="verdict">{verdict.title}</h1>
          <p>{verdict.detail}</p>
        </div>
      </div>
      <dl class="numbers">
        <Figure name="Left" value={formatCount(remaining)} note={`of ${formatCount(limit)}`} main />
        <Figure name="Used" value={formatCount(status.used)} note={`${status.percentage_used}% of limit`} color="charged" />
        <Figure name="Untracked" value={formatCount(untracked)} note="not reported" color="untracked" />
        <Figure name="Reserved" value={formatCount(reserved)} note="not charged yet" color="reserved" />
        <Figure name="Reset in" value={duration(endOfDay(now) - now)} note="at 00:00 UTC" />
      </dl>
      <Gauge status={status} />
      <p class="source muted">
        {status.provider} · {formatCount(daily)} calls per day, buffer {formatCount(daily - limit)} ·{" "}
        <span>{ENFORCEMENT[status.enforcement]}</span> · {status.source === "ledger" ? "counted" : "published"}{" "}
        <Time at={Date.parse(status.as_of)} now={now} />
      </p>
    </section>
  );
}

interface FigureProps {
  readonly name: string;
  readonly value: string;
  readonly note: string;
  readonly main?: boolean;
  /** Color in the gauge. */
  readonly color?: string;
}

function Figure({ name, value, note, main = false, color }: FigureProps) {
  return (
    <div class={main ? "figure main" : "figure"}>
      <dt class={color === undefined ? "" : `key ${color}`}>{name}</dt>
      <dd>
        <span class="value">{value}</span>
        <span class="note">{note}</span>
      </dd>
    </div>
  );
}

function Callers({ status }: { readonly status: QuotaStatus }) {
  const { callers } = status;
  if (callers.length === 0) return <EmptyState>No calls today.</EmptyState>;
  const first = callers.slice(0, MAX_CALLERS);
  const rest = callers.slice(MAX_CALLERS);
  const restUsed = rest.reduce((sum, each) => sum + each.used, 0);
  // An operator's correction may be negative and has no share.
  const sum = callers.reduce((total, each) => total + Math.max(0, each.used), 0);
  const whole = Math.max(1, sum);
  return (
    <ul class="shares">
      {first.map(({ caller, used: calls }) => (
        <li data-key={caller}>
          <span class="name">
            <CallerName caller={caller} />
          </span>
          <span class="calls">
            {formatCount(calls)} <span class="muted">{Math.round((Math.max(0, calls) * 100) / whole)}%</span>
          </span>
          <Meter percent={(calls * 100) / whole} state={caller === "untracked" ? "untracked" : "share"} />
        </li>
      ))}
      {rest.length === 0 ? null : (
        <li data-key="(rest)">
          <span class="name muted">{quantity(rest.length, "other")}</span>
          <span class="calls">{formatCount(restUsed)}</span>
          <Meter percent={(restUsed * 100) / whole} state="share" />
        </li>
      )}
    </ul>
  );
}

function CallerName({ caller }: { readonly caller: string }) {
  if (!caller.startsWith(PROJECT_CALLER_PREFIX)) return <>{caller}</>;
  const id = caller.slice(PROJECT_CALLER_PREFIX.length);
  return <a href={`/projects/${encodeURIComponent(id)}`}>{caller}</a>;
}

interface DaysProps {
  readonly days: readonly DayTotal[];
  readonly limit: number;
  readonly signedIn: boolean;
  readonly now: number;
}

function Days({ days, limit, signedIn, now }: DaysProps) {
  if (days.length === 0) return <EmptyState>No history yet. It starts with the first call.</EmptyState>;
  const columns = [
    { name: "Untracked", number: true, cell: ({ untracked }: DayTotal) => formatCount(untracked) },
    { name: "Refused", number: true, cell: ({ refused }: DayTotal) => formatCount(refused) },
  ];
  return (
    <DaysChart name="Calls" bars={days} days={HISTORY_DAYS} limit={limit} limitName="limit" now={now} columns={signedIn ? columns : []} />
  );
}

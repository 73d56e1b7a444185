/** Will the day's quota last, who is spending it, and who is about to be cut off? */
import { PROJECT_CALLER_PREFIX } from "../../quota/index.ts";
import type { DayTotal, QuotaOverview, QuotaStatus } from "../../quota/index.ts";
import { endOfDay } from "../../lib/time.ts";
import { DayChart } from "../charts/day-chart.tsx";
import { DaysChart } from "../charts/days-chart.tsx";
import { Gauge, partsOf } from "../charts/gauge.tsx";
import { Meter } from "../charts/meter.tsx";
import { counted, duration, grouped } from "../format.ts";
import { Card, Mark, Nothing, Notices, Time } from "../parts.tsx";
import { noticesOf, verdictOf } from "../words.ts";
import { AtRisk } from "../limits/at-risk.tsx";
import type { Risk } from "../limits/at-risk.tsx";

export const HISTORY_DAYS = 30;
/** Longer lists hide who matters. */
const CALLERS_SHOWN = 10;
const ENFORCEMENT = { enforce: "limits are enforced", observe: "limits are only observed", off: "limits are off" } as const;

interface QuotaPageProps {
  readonly overview: QuotaOverview;
  /** For those who are signed in; null for everybody else. */
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
            <Nothing>The course of the day is known to the ledger alone, and it does not answer.</Nothing>
          ) : (
            <DayChart status={status} ledger={ledger} now={now} />
          )}
        </Card>
        <Card title="Who spent it" id="callers" aside={<span class="muted">today</span>}>
          <Callers status={status} linked={risk !== null} />
        </Card>
      </div>
      {risk === null ? null : <AtRisk risk={risk} now={now} />}
      <Card title={`The last ${HISTORY_DAYS} days`} id="days" aside={<span class="muted">calls a UTC day</span>}>
        {ledger === null ? (
          <Nothing>Known to the ledger alone, and it does not answer.</Nothing>
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
        <Figure name="Left" value={grouped(remaining)} note={`of ${grouped(limit)}`} main />
        <Figure name="Used" value={grouped(status.used)} note={`${status.percentage_used} % of the limit`} colour="charged" />
        <Figure name="Untracked" value={grouped(untracked)} note="nobody reported them" colour="untracked" />
        <Figure name="Reserved" value={grouped(reserved)} note="promised, not settled" colour="reserved" />
        <Figure name="New calls in" value={duration(endOfDay(now) - now)} note="at 00:00 UTC" />
      </dl>
      <Gauge status={status} />
      <p class="source muted">
        {status.provider} · {grouped(daily)} calls a day, {grouped(daily - limit)} of them kept as a buffer ·{" "}
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
  /** Its colour in the gauge. */
  readonly colour?: string;
}

function Figure({ name, value, note, main = false, colour }: FigureProps) {
  return (
    <div class={main ? "figure main" : "figure"}>
      <dt class={colour === undefined ? "" : `key ${colour}`}>{name}</dt>
      <dd>
        <span class="value">{value}</span>
        <span class="note">{note}</span>
      </dd>
    </div>
  );
}

function Callers({ status, linked }: { readonly status: QuotaStatus; readonly linked: boolean }) {
  const { callers } = status;
  if (callers.length === 0) return <Nothing>Nobody has spent a call today.</Nothing>;
  const shown = callers.slice(0, CALLERS_SHOWN);
  const rest = callers.slice(CALLERS_SHOWN);
  const restUsed = rest.reduce((sum, each) => sum + each.used, 0);
  // An operator's correction may be below 0, and is nobody's share.
  const sum = callers.reduce((total, each) => total + Math.max(0, each.used), 0);
  const whole = Math.max(1, sum);
  return (
    <ul class="shares">
      {shown.map(({ caller, used: calls }) => (
        <li data-key={caller}>
          <span class="name">{linked ? <CallerName caller={caller} /> : caller}</span>
          <span class="calls">
            {grouped(calls)} <span class="muted">{Math.round((Math.max(0, calls) * 100) / whole)} %</span>
          </span>
          <Meter percent={(calls * 100) / whole} state={caller === "untracked" ? "untracked" : "share"} />
        </li>
      ))}
      {rest.length === 0 ? null : (
        <li data-key="(rest)">
          <span class="name muted">{counted(rest.length, "other")}</span>
          <span class="calls">{grouped(restUsed)}</span>
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
  if (days.length === 0) return <Nothing>There is no history yet: it begins with the first call.</Nothing>;
  const columns = [
    { name: "Untracked", number: true, cell: ({ untracked }: DayTotal) => grouped(untracked) },
    { name: "Refused", number: true, cell: ({ refused }: DayTotal) => grouped(refused) },
  ];
  return (
    <DaysChart
      what="Calls"
      bars={days}
      days={HISTORY_DAYS}
      limit={limit}
      limitName="safety limit"
      now={now}
      columns={signedIn ? columns : []}
    />
  );
}

/** Projects near a cap and suspended projects. */
import type { CloseToCap, StoppedProject } from "../../store/projects/overview.ts";
import { percentOf } from "../../tenants/limits/thresholds.ts";
import { Meter } from "../charts/meter.tsx";
import { capName, quantity, formatCount, reasonName } from "../format.ts";
import { Card, EmptyState, Time } from "../parts.tsx";

/** `unknown`: the database does not respond. */
export type Risk =
  | { readonly close: readonly CloseToCap[]; readonly stopped: { readonly count: number; readonly latest: readonly StoppedProject[] } }
  | "unknown";

export const RISK_UNKNOWN = "Unknown, because the database does not respond.";

export function AtRisk({ risk, now }: { readonly risk: Risk; readonly now: number }) {
  const { close, stopped } = risk === "unknown" ? { close: null, stopped: null } : risk;
  return (
    <div class="columns even">
      <Card title="Near a limit" id="close" aside={<span class="muted">80% of a cap or more</span>}>
        {close === null ? <EmptyState>{RISK_UNKNOWN}</EmptyState> : <Close all={close} />}
      </Card>
      <Card
        title="Suspended"
        id="stopped"
        aside={stopped?.count ? <a href="/projects?status=SUSPENDED">All {formatCount(stopped.count)}</a> : null}
      >
        {stopped === null ? <EmptyState>{RISK_UNKNOWN}</EmptyState> : <Stopped {...stopped} now={now} />}
      </Card>
    </div>
  );
}

function Close({ all }: { readonly all: readonly CloseToCap[] }) {
  if (all.length === 0) return <EmptyState>No project was near a cap in the last sweep.</EmptyState>;
  return (
    <ul class="shares">
      {all.map(({ id, name, cap_type, used, cap }) => (
        <li data-key={`${id} ${cap_type}`}>
          <span class="name">
            <a href={`/projects/${id}`}>{name}</a> <span class="muted">{capName(cap_type)}</span>
          </span>
          <span class="calls">
            {percentOf({ used, cap })}%{" "}
            <span class="muted">
              {formatCount(used)} of {formatCount(cap)}
            </span>
          </span>
          <Meter percent={(used * 100) / cap} state={used >= cap ? "exceeded" : "warning"} />
        </li>
      ))}
    </ul>
  );
}

function Stopped({ count, latest, now }: { readonly count: number; readonly latest: readonly StoppedProject[]; readonly now: number }) {
  if (count === 0) return <EmptyState>No project is suspended.</EmptyState>;
  return (
    <>
      <ul class="lines">
        {latest.map(({ id, name, reason, since }) => (
          <li data-key={id}>
            <a href={`/projects/${id}`}>{name}</a>
            <span class="muted">
              {reasonName(reason)}, since <Time at={since} now={now} />
            </span>
          </li>
        ))}
      </ul>
      {count > latest.length ? <p class="muted">and {quantity(count - latest.length, "other")}</p> : null}
    </>
  );
}

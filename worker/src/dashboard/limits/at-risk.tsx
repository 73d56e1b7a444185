/** Who is cut off, and who is about to be. */
import type { CloseToCap, StoppedProject } from "../../store/projects/overview.ts";
import { percentOf } from "../../tenants/limits/thresholds.ts";
import { Meter } from "../charts/meter.tsx";
import { capName, counted, grouped, reasonName } from "../format.ts";
import { Card, Nothing, Time } from "../parts.tsx";

/** `unknown`: the database does not answer. */
export type Risk =
  | { readonly close: readonly CloseToCap[]; readonly stopped: { readonly count: number; readonly latest: readonly StoppedProject[] } }
  | "unknown";

const UNKNOWN = "The database does not answer, so nobody knows.";

export function AtRisk({ risk, now }: { readonly risk: Risk; readonly now: number }) {
  const { close, stopped } = risk === "unknown" ? { close: null, stopped: null } : risk;
  return (
    <div class="columns even">
      <Card title="About to be cut off" id="close" aside={<span class="muted">80 % of a cap and more</span>}>
        {close === null ? <Nothing>{UNKNOWN}</Nothing> : <Close all={close} />}
      </Card>
      <Card
        title="Cut off"
        id="stopped"
        aside={stopped?.count ? <a href="/projects?status=SUSPENDED">All {grouped(stopped.count)}</a> : null}
      >
        {stopped === null ? <Nothing>{UNKNOWN}</Nothing> : <Stopped {...stopped} now={now} />}
      </Card>
    </div>
  );
}

function Close({ all }: { readonly all: readonly CloseToCap[] }) {
  if (all.length === 0) return <Nothing>No project was close to one of its caps when the last sweep looked.</Nothing>;
  return (
    <ul class="shares">
      {all.map(({ id, name, cap_type, used, cap }) => (
        <li data-key={`${id} ${cap_type}`}>
          <span class="name">
            <a href={`/projects/${id}`}>{name}</a> <span class="muted">{capName(cap_type)}</span>
          </span>
          <span class="calls">
            {percentOf({ used, cap })} %{" "}
            <span class="muted">
              {grouped(used)} of {grouped(cap)}
            </span>
          </span>
          <Meter percent={(used * 100) / cap} state={used >= cap ? "exceeded" : "warning"} />
        </li>
      ))}
    </ul>
  );
}

function Stopped({ count, latest, now }: { readonly count: number; readonly latest: readonly StoppedProject[]; readonly now: number }) {
  if (count === 0) return <Nothing>No project is suspended.</Nothing>;
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
      {count > latest.length ? <p class="muted">and {counted(count - latest.length, "other")}.</p> : null}
    </>
  );
}

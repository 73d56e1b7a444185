/** History of a project: suspensions, limit checks and events. */
import { JOB_ID } from "../../jobs/job-id.ts";
import type { EventRow } from "../../store/events.ts";
import type { EvaluationRow, SuspensionRow } from "../../store/suspension/suspensions.ts";
import { capName, formatCount, reasonDetail, reasonName } from "../format.ts";
import { Card, None, State, Table, Time, TimeOrNone } from "../parts.tsx";

/** One page of a list. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  /** Sequence number or cursor of the next page, or null on the last page. */
  readonly next: number | string | null;
}

export interface ProjectHistoryProps {
  readonly id: string;
  readonly suspensions: Page<SuspensionRow>;
  readonly evaluations: Page<EvaluationRow>;
  readonly events: Page<EventRow>;
  readonly now: number;
}

export function ProjectHistory({ id, suspensions, evaluations, events, now }: ProjectHistoryProps) {
  return (
    <>
      <Card title="Suspensions" id="suspensions">
        <Suspensions rows={suspensions.rows} now={now} />
        <More id={id} list="suspensions" next={suspensions.next} />
      </Card>
      <Card title="Limit checks" id="evaluations" aside={<span class="muted">with the usage they were based on</span>}>
        <Evaluations rows={evaluations.rows} now={now} />
        <More id={id} list="evaluations" next={evaluations.next} />
      </Card>
      <Card title="Events" id="events" aside={<span class="muted">sent to webhooks</span>}>
        <Events rows={events.rows} now={now} />
        <More id={id} list="events" next={events.next} />
      </Card>
    </>
  );
}

interface MoreProps {
  readonly id: string;
  readonly list: "suspensions" | "evaluations" | "events" | "deliveries" | "backups" | "decisions";
  readonly next: Page<unknown>["next"];
}

const LIST_NAMES: Partial<Record<MoreProps["list"], string>> = { evaluations: "limit checks" };

/** Link to older entries. */
export function More({ id, list, next }: MoreProps) {
  if (next === null) return null;
  return (
    <p>
      <a class="button quiet" href={`/projects/${id}?${list}_before=${next}#${list}`}>
        Older {LIST_NAMES[list] ?? list}
      </a>
    </p>
  );
}

function Suspensions({ rows, now }: { readonly rows: readonly SuspensionRow[]; readonly now: number }) {
  return (
    <Table
      label="Suspensions"
      rows={rows}
      keyOf={({ seq }) => String(seq)}
      none="Never suspended."
      columns={[
        {
          name: "Reason",
          cell: ({ reason, detail }) => (
            <>
              {reasonName(reason)}
              {detail === null ? null : <span class="muted">: {reasonDetail(reason, detail)}</span>}
            </>
          ),
        },
        { name: "Active", cell: ({ holds }) => (holds === 1 ? <State name="suspended" /> : "no") },
        { name: "Since", cell: ({ since }) => <Time at={since} now={now} /> },
        { name: "By", cell: ({ actor }) => <Actor name={actor} /> },
        { name: "Ends", cell: ({ until }) => <TimeOrNone at={until} now={now} none="manual" /> },
        {
          name: "Lifted",
          cell: ({ lifted_at, lifted_by }) =>
            lifted_at === null ? (
              <None />
            ) : (
              <>
                <Time at={lifted_at} now={now} /> by <Actor name={lifted_by ?? "unknown"} />
              </>
            ),
        },
      ]}
    />
  );
}

/** Who made a change. A job is a link to its page. */
export function Actor({ name }: { readonly name: string }) {
  const job = name.replace(/^job:/u, "");
  return JOB_ID.test(job) ? <a href={`/jobs/${job}`}>{job.split("-")[0]}</a> : <>{name}</>;
}

function Evaluations({ rows, now }: { readonly rows: readonly EvaluationRow[]; readonly now: number }) {
  return (
    <Table
      label="Limit checks"
      rows={rows}
      keyOf={({ seq }) => String(seq)}
      none="No checks yet. The sweep runs every hour."
      columns={[
        { name: "When", cell: ({ at }) => <Time at={at} now={now} /> },
        { name: "Cap", cell: ({ cap_type }) => capName(cap_type) },
        { name: "Used", number: true, cell: ({ used }) => (used === null ? "unknown" : formatCount(used)) },
        { name: "Limit", number: true, cell: ({ cap }) => (cap === null ? "unlimited" : formatCount(cap)) },
        {
          name: "Decision",
          cell: ({ decision, threshold, dry_run }) => (
            <>
              <State name={decision} />
              {threshold === null ? "" : ` at ${threshold}%`}
              {dry_run === 1 ? <span class="muted"> (dry run)</span> : null}
            </>
          ),
        },
        { name: "Sweep", cell: ({ run }) => <Actor name={run} /> },
      ]}
    />
  );
}

function Events({ rows, now }: { readonly rows: readonly EventRow[]; readonly now: number }) {
  return (
    <Table
      label="Events"
      rows={rows}
      keyOf={({ seq }) => String(seq)}
      none="No events yet."
      columns={[
        { name: "When", cell: ({ created_at: at }) => <Time at={at} now={now} /> },
        { name: "Type", cell: ({ type }) => <code>{type}</code> },
        { name: "Data", cell: ({ data }) => <code class="data">{data}</code> },
      ]}
    />
  );
}

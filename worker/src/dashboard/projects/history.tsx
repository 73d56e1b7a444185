/** Why a project is where it is: suspensions, what sweeps decided and from what, and what was told about it. */
import { JOB_ID } from "../../jobs/job-id.ts";
import type { EventRow } from "../../store/events.ts";
import type { EvaluationRow, SuspensionRow } from "../../store/suspension/suspensions.ts";
import { capName, grouped, reasonDetail, reasonName } from "../format.ts";
import { Card, None, State, Table, Time, TimeOrNone } from "../parts.tsx";

/** One page of a list. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  /** Where the next page begins: a running number, or a cursor; null on the last one. */
  readonly next: number | string | null;
}

export interface ProjectPastProps {
  readonly id: string;
  readonly suspensions: Page<SuspensionRow>;
  readonly evaluations: Page<EvaluationRow>;
  readonly events: Page<EventRow>;
  readonly now: number;
}

export function ProjectPast({ id, suspensions, evaluations, events, now }: ProjectPastProps) {
  return (
    <>
      <Card title="Suspensions" id="suspensions">
        <Suspensions rows={suspensions.rows} now={now} />
        <More id={id} list="suspensions" next={suspensions.next} />
      </Card>
      <Card title="What the sweeps decided" id="evaluations" aside={<span class="muted">and from what</span>}>
        <Evaluations rows={evaluations.rows} now={now} />
        <More id={id} list="evaluations" next={evaluations.next} />
      </Card>
      <Card title="Events" id="events" aside={<span class="muted">what webhooks tell</span>}>
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

/** On to what is older. */
export function More({ id, list, next }: MoreProps) {
  if (next === null) return null;
  return (
    <p>
      <a class="button quiet" href={`/projects/${id}?${list}_before=${next}#${list}`}>
        Older {list}
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
      none="It was never suspended."
      columns={[
        {
          name: "Why",
          cell: ({ reason, detail }) => (
            <>
              {reasonName(reason)}
              {detail === null ? null : <span class="muted">: {reasonDetail(reason, detail)}</span>}
            </>
          ),
        },
        { name: "Holds", cell: ({ holds }) => (holds === 1 ? <State name="suspended" /> : "no more") },
        { name: "Since", cell: ({ since }) => <Time at={since} now={now} /> },
        { name: "By", cell: ({ actor }) => <Actor name={actor} /> },
        { name: "Until", cell: ({ until }) => <TimeOrNone at={until} now={now} none="lifted by hand" /> },
        {
          name: "Lifted",
          cell: ({ lifted_at, lifted_by }) =>
            lifted_at === null ? (
              <None />
            ) : (
              <>
                <Time at={lifted_at} now={now} /> by <Actor name={lifted_by ?? "nobody"} />
              </>
            ),
        },
      ]}
    />
  );
}

/** A job is a link to its tries. */
export function Actor({ name }: { readonly name: string }) {
  const job = name.replace(/^job:/u, "");
  return JOB_ID.test(job) ? <a href={`/jobs/${job}`}>{job.split("-")[0]}</a> : <>{name}</>;
}

function Evaluations({ rows, now }: { readonly rows: readonly EvaluationRow[]; readonly now: number }) {
  return (
    <Table
      label="What the sweeps decided"
      rows={rows}
      keyOf={({ seq }) => String(seq)}
      none="No sweep has looked at it yet; the next one comes with the full hour."
      columns={[
        { name: "When", cell: ({ at }) => <Time at={at} now={now} /> },
        { name: "Cap", cell: ({ cap_type }) => capName(cap_type) },
        { name: "Used", number: true, cell: ({ used }) => (used === null ? "unknown" : grouped(used)) },
        { name: "Of", number: true, cell: ({ cap }) => (cap === null ? "unlimited" : grouped(cap)) },
        {
          name: "Decision",
          cell: ({ decision, threshold, dry_run }) => (
            <>
              <State name={decision} />
              {threshold === null ? "" : ` at ${threshold} %`}
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
      none="Nothing has happened that anybody would be told about."
      columns={[
        { name: "When", cell: ({ created_at: at }) => <Time at={at} now={now} /> },
        { name: "Type", cell: ({ type }) => <code>{type}</code> },
        { name: "Data", cell: ({ data }) => <code class="data">{data}</code> },
      ]}
    />
  );
}

/** One job with all its attempts. */
import { isJobType, visiblePayload } from "../../jobs/catalog.ts";
import { retryOf, timelineOf } from "../../jobs/timeline.ts";
import type { AttemptRow } from "../../store/jobs/attempts.ts";
import type { JobRow } from "../../store/jobs/jobs.ts";
import { elapsed } from "../format.ts";
import { FormToken } from "../page.tsx";
import { Card, Facts, Heading, Json, Mark, None, EmptyState, PreciseTime, State, Table, Time, TimeOrNone } from "../parts.tsx";
import type { Session } from "../session.ts";
import { Actor } from "../projects/history.tsx";

interface JobPageProps {
  readonly row: JobRow;
  readonly attempts: readonly AttemptRow[];
  readonly session: Session;
  readonly now: number;
}

export function JobPage({ row, attempts, session, now }: JobPageProps) {
  const canRetry = (row.status === "failed" || row.status === "cancelled") && isJobType(row.type);
  return (
    <>
      <Heading title={row.type} above={<a href="/jobs">Jobs</a>}>
        <State name={row.status} />
        {canRetry ? (
          <form method="post" action={`/jobs/${row.id}/retry`}>
            <FormToken session={session} />
            <button class="button primary" type="submit">
              Retry
            </button>
          </form>
        ) : null}
        {row.ended_at === null ? (
          <a class="button quiet" href={`/jobs/${row.id}/cancel`}>
            Cancel
          </a>
        ) : null}
      </Heading>
      {row.error === null ? null : (
        <p class="notice bad">
          <Mark level="bad" />
          <span>{row.error}</span>
        </p>
      )}
      <div class="columns even">
        <Card title="About" id="about">
          <About row={row} now={now} />
        </Card>
        <Card title="Timeline" id="timeline">
          <ol class="timeline">
            {timelineOf(row, attempts).map(({ at, event }) => (
              <li>
                <PreciseTime at={at} /> <span>{event}</span>
              </li>
            ))}
          </ol>
        </Card>
      </div>
      <Card title="Attempts" id="attempts">
        <Attempts attempts={attempts} />
      </Card>
      <div class="columns even">
        <Card title="Payload" id="payload">
          <Json value={visiblePayload(row.type, JSON.parse(row.payload) as Record<string, unknown>)} />
        </Card>
        <Card title="Result" id="result">
          {row.result ? <Json value={JSON.parse(row.result)} /> : <EmptyState>No result{row.ended_at === null ? " yet" : ""}.</EmptyState>}
        </Card>
      </div>
    </>
  );
}

function About({ row, now }: { readonly row: JobRow; readonly now: number }) {
  const earlier = retryOf(row);
  return (
    <Facts
      all={[
        ["Id", <code>{row.id}</code>],
        ["Requested by", <Actor name={row.requested_by} />],
        ["Project", row.project_id === null ? "–" : <a href={`/projects/${row.project_id}`}>{row.project_id}</a>],
        [
          "Run",
          earlier === null ? (
            String(row.run)
          ) : (
            <>
              {row.run}, retry of <a href={`/jobs/${earlier}`}>{earlier}</a>
            </>
          ),
        ],
        ["Attempts", `${row.tries} of ${row.max_tries}`],
        ["Scheduled for", <TimeOrNone at={row.scheduled_for} now={now} />],
        ["Requested", <Time at={row.created_at} now={now} />],
        ["Ended", <TimeOrNone at={row.ended_at} now={now} none="not yet" />],
        ["Trace", row.trace_id === null ? "–" : <code>{row.trace_id}</code>],
      ]}
    />
  );
}

function Attempts({ attempts }: { readonly attempts: readonly AttemptRow[] }) {
  return (
    <Table
      label="Attempts"
      rows={attempts}
      none="No step has started."
      columns={[
        { name: "Step", cell: ({ step, nth }) => (nth === 1 ? step : `${step} (${nth})`) },
        { name: "Attempt", number: true, cell: ({ attempt }) => String(attempt) },
        { name: "Outcome", cell: ({ outcome }) => <State name={outcome ?? "running"} /> },
        { name: "Started", cell: ({ started_at: at }) => (at === null ? <None>not recorded</None> : <PreciseTime at={at} />) },
        { name: "Duration", number: true, cell: elapsed },
        { name: "Error", cell: ({ error }) => error ?? <None /> },
      ]}
    />
  );
}

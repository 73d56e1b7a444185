/** Jobs: what is under way, what failed, and what the clock asks for. */
import { JOB_TYPES } from "../../jobs/catalog.ts";
import type { ScheduleView } from "../../jobs/reading.ts";
import { JOB_STATUSES } from "../../store/jobs/jobs.ts";
import type { JobRow } from "../../store/jobs/jobs.ts";
import { took } from "../format.ts";
import { Card, Heading, Nothing, Paging, State, Table, Time, TimeOrNone } from "../parts.tsx";
import type { Column } from "../parts.tsx";

export interface JobQuery {
  readonly type: string | null;
  readonly status: string | null;
}

export function jobsAddress({ type, status }: JobQuery, cursor?: string): string {
  const search = new URLSearchParams({
    ...(type === null ? {} : { type }),
    ...(status === null ? {} : { status }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  return search.size === 0 ? "/jobs" : `/jobs?${search.toString()}`;
}

interface JobsPageProps {
  /** null where a part of the list is looked at. */
  readonly overview: {
    readonly unfinished: readonly JobRow[];
    readonly failed: readonly JobRow[];
    readonly schedules: readonly ScheduleView[];
  } | null;
  readonly rows: readonly JobRow[];
  readonly query: JobQuery;
  readonly isFirst: boolean;
  readonly next: string | null;
  readonly now: number;
}

export function JobsPage({ overview, rows, query, isFirst, next, now }: JobsPageProps) {
  return (
    <>
      <Heading title="Jobs" />
      {overview === null ? null : (
        <>
          <div class="columns even">
            <Card title="Under way" id="running">
              {overview.unfinished.length === 0 ? (
                <Nothing>Nothing is running or waiting.</Nothing>
              ) : (
                <Jobs label="Under way" rows={overview.unfinished} now={now} show="under way" />
              )}
            </Card>
            <Card
              title="Failed"
              id="failed"
              aside={overview.failed.length === 0 ? null : <a href={jobsAddress({ type: null, status: "failed" })}>All failed</a>}
            >
              {overview.failed.length === 0 ? (
                <Nothing>No job has failed in the last 30 days.</Nothing>
              ) : (
                <Jobs label="Failed" rows={overview.failed} now={now} show="failed" />
              )}
            </Card>
          </div>
          <Card title="Schedules" id="schedules" aside={<span class="muted">cron, UTC</span>}>
            <Schedules all={overview.schedules} now={now} />
          </Card>
        </>
      )}
      <Card title="All jobs" id="all">
        <Filter query={query} />
        {rows.length === 0 ? (
          <Nothing>{query.type === null && query.status === null ? "No job was ever asked for." : "No job matches."}</Nothing>
        ) : (
          <Jobs label="All jobs" rows={rows} now={now} />
        )}
        <Paging first={isFirst ? null : jobsAddress(query)} next={next === null ? null : jobsAddress(query, next)} />
      </Card>
    </>
  );
}

function Filter({ query }: { readonly query: JobQuery }) {
  return (
    <div class="filters" data-still>
      <form method="get" action="/jobs">
        <label for="type">Type</label>
        <Choice id="type" all={JOB_TYPES} chosen={query.type} />
        <label for="status">Status</label>
        <Choice id="status" all={JOB_STATUSES} chosen={query.status} />
        <button class="button" type="submit">
          Show
        </button>
      </form>
    </div>
  );
}

function Choice({ id, all, chosen }: { readonly id: string; readonly all: readonly string[]; readonly chosen: string | null }) {
  return (
    <select id={id} name={id}>
      <option value="">all</option>
      {all.map((each) => (
        <option value={each} selected={each === chosen}>
          {each}
        </option>
      ))}
    </select>
  );
}

function JobLink({ job: { id, type } }: { readonly job: Pick<JobRow, "id" | "type"> }) {
  return <a href={`/jobs/${id}`}>{type}</a>;
}

interface JobsProps {
  readonly label: string;
  readonly rows: readonly JobRow[];
  readonly now: number;
  readonly show?: "all" | "failed" | "under way";
}

function Jobs({ label, rows, now, show = "all" }: JobsProps) {
  const type: Column<JobRow> = { name: "Type", cell: (job) => <JobLink job={job} /> };
  const status: Column<JobRow> = { name: "Status", cell: (job) => <State name={job.status} /> };
  const asked: Column<JobRow> = { name: "Asked for", cell: ({ created_at: at }) => <Time at={at} now={now} /> };
  const error: Column<JobRow> = {
    name: "Error",
    cell: (job) => (job.error === null ? <span class="muted">–</span> : <span class="cut">{job.error}</span>),
  };
  const by: Column<JobRow> = { name: "By", cell: (job) => <Asker job={job} /> };
  const tries: Column<JobRow> = { name: "Tries", number: true, cell: ({ tries: count, max_tries: most }) => `${count} of ${most}` };
  const length: Column<JobRow> = {
    name: "Took",
    number: true,
    cell: ({ started_at: from, ended_at: to }) => (from === null || to === null ? "–" : took(to - from)),
  };
  const columns = {
    all: [type, status, asked, by, tries, length, error],
    failed: [type, asked, error],
    "under way": [type, status, asked],
  };
  return <Table label={label} rows={rows} keyOf={({ id }) => id} columns={columns[show]} />;
}

function Asker({ job: { requested_by: by, project_id: project } }: { readonly job: JobRow }) {
  return (
    <>
      {by.startsWith("job:") ? "a job" : by}
      {project === null ? null : (
        <>
          , for <a href={`/projects/${project}`}>{project}</a>
        </>
      )}
    </>
  );
}

function Schedules({ all, now }: { readonly all: readonly ScheduleView[]; readonly now: number }) {
  return (
    <Table
      label="Schedules"
      rows={all}
      keyOf={({ type }) => type}
      columns={[
        { name: "Job", cell: ({ type }) => type },
        { name: "Does", cell: ({ description }) => <div class="wide">{description}</div> },
        { name: "Cron", cell: ({ cron }) => <code>{cron}</code> },
        {
          name: "Last run",
          cell: ({ last }) =>
            last === null ? (
              <span class="muted">never</span>
            ) : (
              <a href={`/jobs/${last.id}`}>
                <State name={last.status} /> <Time at={last.scheduled_for ?? last.created_at} now={now} />
              </a>
            ),
        },
        { name: "Next run", cell: ({ nextAt }) => <TimeOrNone at={nextAt} now={now} /> },
      ]}
    />
  );
}

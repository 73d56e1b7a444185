/** Jobs: in progress, failed, scheduled and all. */
import { JOB_TYPES } from "../../jobs/catalog.ts";
import type { ScheduleView } from "../../jobs/reading.ts";
import { JOB_STATUSES } from "../../store/jobs/jobs.ts";
import type { JobRow } from "../../store/jobs/jobs.ts";
import { elapsed } from "../format.ts";
import { Card, Choice, Filters, Heading, None, Paging, State, Table, Time, TimeOrNone, isFiltered } from "../parts.tsx";
import type { Column, ListPage } from "../parts.tsx";

export type JobQuery = Record<"type" | "status", string | null>;

export interface JobsOverview {
  readonly unfinished: readonly JobRow[];
  readonly failed: readonly JobRow[];
  readonly schedules: readonly ScheduleView[];
}

interface JobsPageProps {
  /** null on filtered and later pages. */
  readonly overview: JobsOverview | null;
  readonly page: ListPage<JobRow, JobQuery>;
}

export function JobsPage({ overview, page }: JobsPageProps) {
  const { rows, query, now } = page;
  return (
    <>
      <Heading title="Jobs" />
      {overview === null ? null : (
        <>
          <div class="columns even">
            <Card title="In progress" id="running">
              <Jobs label="In progress" rows={overview.unfinished} now={now} show="unfinished" none="No job is running or waiting." />
            </Card>
            <Card title="Failed" id="failed" aside={overview.failed.length === 0 ? null : <a href="/jobs?status=failed">All failed</a>}>
              <Jobs label="Failed" rows={overview.failed} now={now} show="failed" none="No job has failed in the last 30 days." />
            </Card>
          </div>
          <Card title="Schedules" id="schedules" aside={<span class="muted">cron, UTC</span>}>
            <Schedules all={overview.schedules} now={now} />
          </Card>
        </>
      )}
      <Card title="All jobs" id="all">
        <Filters action="/jobs">
          <Choice id="type" label="Type" all={JOB_TYPES} chosen={query.type} />
          <Choice id="status" label="Status" all={JOB_STATUSES} chosen={query.status} />
        </Filters>
        <Jobs label="All jobs" rows={rows} now={now} none={isFiltered(query) ? "No job matches." : "No jobs yet."} />
        <Paging path="/jobs" page={page} />
      </Card>
    </>
  );
}

interface JobsProps {
  readonly label: string;
  readonly rows: readonly JobRow[];
  readonly now: number;
  readonly show?: "all" | "failed" | "unfinished";
  readonly none: string;
}

function Jobs({ label, rows, now, show = "all", none }: JobsProps) {
  const type: Column<JobRow> = { name: "Type", cell: ({ id, type: name }) => <a href={`/jobs/${id}`}>{name}</a> };
  const status: Column<JobRow> = { name: "Status", cell: (job) => <State name={job.status} /> };
  const requested: Column<JobRow> = { name: "Requested", cell: ({ created_at: at }) => <Time at={at} now={now} /> };
  const error: Column<JobRow> = {
    name: "Error",
    cell: (job) => (job.error === null ? <None /> : <span class="cut">{job.error}</span>),
  };
  const by: Column<JobRow> = { name: "By", cell: (job) => <Requester job={job} /> };
  const attempts: Column<JobRow> = { name: "Attempts", number: true, cell: ({ tries: count, max_tries: most }) => `${count} of ${most}` };
  const length: Column<JobRow> = { name: "Duration", number: true, cell: elapsed };
  const columns = {
    all: [type, status, requested, by, attempts, length, error],
    failed: [type, requested, error],
    unfinished: [type, status, requested],
  };
  return <Table label={label} rows={rows} keyOf={({ id }) => id} columns={columns[show]} none={none} />;
}

function Requester({ job: { requested_by: by, project_id: project } }: { readonly job: JobRow }) {
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
        { name: "Description", cell: ({ description }) => <div class="wide">{description}</div> },
        { name: "Cron", cell: ({ cron }) => <code>{cron}</code> },
        {
          name: "Last run",
          cell: ({ last }) =>
            last === null ? (
              <None>never</None>
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

/** Signals of monitoring systems and their outcomes. */
import { SIGNAL_SOURCES } from "../../store/monitoring/signals.ts";
import type { SignalRow, SignalSource } from "../../store/monitoring/signals.ts";
import { quantity, patternName } from "../format.ts";
import { SIGNAL_OUTCOME_WORDS } from "../outcomes.ts";
import { Card, Choice, Filters, Heading, None, Paging, State, Table, Time, isFiltered } from "../parts.tsx";
import type { ListPage, Query } from "../parts.tsx";
import { Actor } from "../projects/history.tsx";

export interface SignalQuery extends Query {
  readonly project: string;
  readonly source: SignalSource | null;
}

interface SignalsProps {
  readonly page: ListPage<SignalRow, SignalQuery>;
}

export function SignalsPage({ page }: SignalsProps) {
  const { query } = page;
  return (
    <>
      <Heading title="Signals" />
      <Filters action="/signals">
        <label for="project">Project</label>
        <input id="project" name="project" value={query.project} maxlength={64} />
        <Choice id="source" label="From" all={SIGNAL_SOURCES} chosen={query.source} />
      </Filters>
      <Card title="Received signals" id="signals" aside={<span class="muted">latest first</span>}>
        <Signals page={page} />
        <Paging path="/signals" page={page} />
      </Card>
    </>
  );
}

const NO_SIGNALS = (
  <>
    No signals yet. Let Alertmanager, Grafana or Datadog send alerts to <code>POST /api/monitoring/…</code>.
  </>
);

function Signals({ page: { rows, query, isFirst, now } }: SignalsProps) {
  return (
    <Table
      label="Signals"
      rows={rows}
      keyOf={({ seq }) => String(seq)}
      none={isFiltered(query) || !isFirst ? "No signal matches." : NO_SIGNALS}
      columns={[
        {
          name: "Received",
          cell: ({ received_at: at, received }) => (
            <>
              <Time at={at} now={now} />
              {received === 1 ? null : <span class="muted"> ({quantity(received, "time")})</span>}
            </>
          ),
        },
        { name: "From", cell: ({ source }) => source },
        {
          name: "Status",
          cell: ({ status, resolved_at: at }) => (
            <>
              <State name={status} /> {at === null ? null : <Time at={at} now={now} />}
            </>
          ),
        },
        { name: "About", cell: (row) => <About row={row} /> },
        { name: "Pattern", cell: ({ pattern }) => (pattern === null ? <None /> : patternName(pattern)) },
        {
          name: "Outcome",
          cell: ({ outcome, job_id: job, enforce }) => (
            <div class="wide">
              {SIGNAL_OUTCOME_WORDS[outcome]}
              {job === null ? null : ": "}
              {job === null ? null : <Actor name={job} />}
              {enforce === 1 ? null : <span class="muted"> (report only)</span>}
            </div>
          ),
        },
      ]}
    />
  );
}

function About({ row: { project_id: project, title, link } }: { readonly row: SignalRow }) {
  // Senders choose the link, so only http and https are clickable.
  const opens = link !== null && /^https?:\/\//iu.test(link);
  return (
    <div class="wide">
      {project === null ? <None>all projects</None> : <a href={`/projects/${encodeURIComponent(project)}`}>{project}</a>}
      {title === null ? null : (
        <>
          ,{" "}
          {opens ? (
            <a href={link} rel="noreferrer noopener">
              {title}
            </a>
          ) : (
            title
          )}
        </>
      )}
    </div>
  );
}

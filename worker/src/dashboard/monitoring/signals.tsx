/** What monitoring systems reported, and what became of it. */
import { SIGNAL_SOURCES } from "../../store/monitoring/signals.ts";
import type { SignalRow, SignalSource } from "../../store/monitoring/signals.ts";
import { counted, patternName } from "../format.ts";
import { SIGNAL_OUTCOME_WORDS } from "../outcomes.ts";
import { Card, Heading, Nothing, Paging, State, Table, Time } from "../parts.tsx";
import { Actor } from "../projects/history.tsx";

export interface SignalQuery {
  readonly project: string;
  readonly source: SignalSource | null;
}

interface SignalsPageProps {
  readonly rows: readonly SignalRow[];
  readonly query: SignalQuery;
  readonly isFirst: boolean;
  /** Cursor of the next page. */
  readonly next: string | null;
  readonly now: number;
}

function address({ project, source }: SignalQuery, cursor?: string): string {
  const search = new URLSearchParams({
    ...(project === "" ? {} : { project }),
    ...(source === null ? {} : { source }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  return search.size === 0 ? "/signals" : `/signals?${search.toString()}`;
}

export function SignalsPage({ rows, query, isFirst, next, now }: SignalsPageProps) {
  return (
    <>
      <Heading title="Signals" />
      <div class="filters" data-still>
        <form method="get" action="/signals" role="search">
          <label for="project">Project</label>
          <input id="project" name="project" value={query.project} maxlength={64} />
          <label for="source">From</label>
          <select id="source" name="source">
            <option value="">all</option>
            {SIGNAL_SOURCES.map((source) => (
              <option value={source} selected={source === query.source}>
                {source}
              </option>
            ))}
          </select>
          <button class="button" type="submit">
            Show
          </button>
        </form>
      </div>
      <Card title="What monitoring systems reported" id="signals" aside={<span class="muted">the latest first</span>}>
        {rows.length === 0 ? <NoSignals query={query} isFirst={isFirst} /> : <Signals rows={rows} now={now} />}
        <Paging first={isFirst ? null : address(query)} next={next === null ? null : address(query, next)} />
      </Card>
    </>
  );
}

function NoSignals({ query, isFirst }: Pick<SignalsPageProps, "query" | "isFirst">) {
  if (query.project !== "" || query.source !== null || !isFirst) return <Nothing>No signal matches.</Nothing>;
  return (
    <Nothing>
      Nothing was reported yet. Alertmanager, Grafana and Datadog report to <code>POST /api/monitoring/…</code>, each with its own secret.
    </Nothing>
  );
}

function Signals({ rows, now }: Pick<SignalsPageProps, "rows" | "now">) {
  return (
    <Table
      label="Signals"
      rows={rows}
      keyOf={({ seq }) => String(seq)}
      columns={[
        {
          name: "Received",
          cell: ({ received_at: at, received }) => (
            <>
              <Time at={at} now={now} />
              {received === 1 ? null : <span class="muted">; {counted(received, "time")}</span>}
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
        { name: "Pattern", cell: ({ pattern }) => (pattern === null ? <span class="muted">–</span> : patternName(pattern)) },
        {
          name: "What became of it",
          cell: ({ outcome, job_id: job, enforce }) => (
            <div class="wide">
              {SIGNAL_OUTCOME_WORDS[outcome]}
              {job === null ? null : ": "}
              {job === null ? null : <Actor name={job} />}
              {enforce === 1 ? null : <span class="muted">; only to be reported</span>}
            </div>
          ),
        },
      ]}
    />
  );
}

function About({ row: { project_id: project, title, link } }: { readonly row: SignalRow }) {
  // Senders write it: only what opens a page becomes a link.
  const opens = link !== null && /^https?:\/\//iu.test(link);
  return (
    <div class="wide">
      {project === null ? <span class="muted">the whole</span> : <a href={`/projects/${encodeURIComponent(project)}`}>{project}</a>}
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

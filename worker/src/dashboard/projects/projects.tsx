/** List of projects with their usage and caps. */
import { PROJECT_STATUSES } from "../../store/projects/projects.ts";
import type { ProjectStatus, ProjectView } from "../../store/projects/projects.ts";
import type { CapUsageView } from "../../tenants/limits/usage.ts";
import { Meter } from "../charts/meter.tsx";
import { capName, formatCount, reasonDetail, reasonName } from "../format.ts";
import { Filters, Heading, EmptyState, Paging, State, Time, addressOf, isFiltered } from "../parts.tsx";
import type { ListPage, Query } from "../parts.tsx";

export interface ProjectRow {
  readonly project: ProjectView;
  readonly caps: readonly CapUsageView[];
}

export interface ProjectQuery extends Query {
  readonly q: string;
  readonly status: ProjectStatus | null;
}

interface ProjectsPageProps {
  readonly page: ListPage<ProjectRow, ProjectQuery>;
}

export function ProjectsPage({ page }: ProjectsPageProps) {
  const { query, rows, now } = page;
  return (
    <>
      <Heading title="Projects" />
      <Filters action="/projects" button="Search" aside={<Tabs query={query} />}>
        <label for="q">Name or id</label>
        <input id="q" name="q" type="search" value={query.q} maxlength={200} />
        {query.status === null ? null : <input type="hidden" name="status" value={query.status} />}
      </Filters>
      {rows.length === 0 ? <NoProjects page={page} /> : <ProjectList rows={rows} now={now} />}
      <Paging path="/projects" page={page} />
    </>
  );
}

function Tabs({ query }: { readonly query: ProjectQuery }) {
  return (
    <nav aria-label="By status">
      <ul class="tabs">
        {[null, ...PROJECT_STATUSES].map((status) => (
          <li>
            <a
              href={addressOf("/projects", { ...query, status })}
              {...(query.status === status ? { "aria-current": "true" as const } : {})}
            >
              {status === null ? "All" : `${status.slice(0, 1)}${status.slice(1).toLowerCase()}`}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function NoProjects({ page: { query, isFirst } }: ProjectsPageProps) {
  const { q, status } = query;
  if (!isFiltered(query) && isFirst) {
    return (
      <EmptyState>
        No projects yet. Create one with <code>POST /api/projects</code> (<a href="/docs">example</a>).
      </EmptyState>
    );
  }
  return (
    <EmptyState>
      No project matches{q === "" ? "" : ` “${q}”`}
      {status === null ? "" : ` with the status ${status.toLowerCase()}`}. <a href="/projects">Show all</a>
    </EmptyState>
  );
}

function ProjectList({ rows, now }: { readonly rows: readonly ProjectRow[]; readonly now: number }) {
  return (
    <ul class="projects" aria-label="Projects">
      {rows.map(({ project, caps }) => (
        <li class="card" data-key={project.id}>
          <div class="project-name">
            <h2>
              <a href={`/projects/${project.id}`}>{project.name}</a>
            </h2>
            <p class="muted">
              <code>{project.id}</code>
            </p>
            <p>
              <State name={project.status} />
            </p>
          </div>
          <Caps caps={caps} />
          <div class="project-end">
            <Reasons project={project} now={now} />
            <Actions project={project} />
          </div>
        </li>
      ))}
    </ul>
  );
}

/** The four caps as bars. */
export function Caps({ caps }: { readonly caps: readonly CapUsageView[] }) {
  return (
    <dl class="caps">
      {caps.map(({ cap_type, used, cap, percent, state }) => (
        <div>
          <dt>{capName(cap_type)}</dt>
          <dd>
            <span class={`cap-use ${state}`}>
              {used === null ? "unknown" : formatCount(used)} <span class="muted">of {cap === null ? "unlimited" : formatCount(cap)}</span>
            </span>
            <Meter percent={state === "exceeded" ? 100 : percent} state={state} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

export function Reasons({ project, now }: { readonly project: ProjectView; readonly now: number }) {
  if (project.suspensions.length === 0) return null;
  return (
    <ul class="reasons">
      {project.suspensions.map(({ reason, detail, since, until }) => (
        <li>
          <strong>{reasonName(reason)}</strong>
          {detail === null ? "" : `: ${reasonDetail(reason, detail)}`}
          <span class="muted">
            , since <Time at={since} now={now} />
            {until === null ? null : (
              <>
                , ends <Time at={until} now={now} />
              </>
            )}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** Links to the confirmation pages of suspend and reactivate. */
export function Actions({ project }: { readonly project: ProjectView }) {
  const canSuspend = project.lifecycle === "ACTIVE" && !project.suspensions.some(({ reason }) => reason === "admin");
  return (
    <p class="actions">
      {project.status === "SUSPENDED" ? (
        <a class="button" href={`/projects/${project.id}/reactivate`}>
          Reactivate<span class="hidden"> {project.name}</span>
        </a>
      ) : null}
      {canSuspend ? (
        <a class="button quiet" href={`/projects/${project.id}/suspend`}>
          Suspend<span class="hidden"> {project.name}</span>
        </a>
      ) : null}
    </p>
  );
}

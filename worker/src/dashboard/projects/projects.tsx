/** All projects, with how close each is to its caps. */
import { PROJECT_STATUSES } from "../../store/projects/projects.ts";
import type { ProjectStatus, ProjectView } from "../../store/projects/projects.ts";
import type { CapUsageView } from "../../tenants/limits/usage.ts";
import { Meter } from "../charts/meter.tsx";
import { capName, grouped, reasonDetail, reasonName } from "../format.ts";
import { Heading, Nothing, Paging, State, Time } from "../parts.tsx";

export interface ProjectRow {
  readonly project: ProjectView;
  readonly caps: readonly CapUsageView[];
}

export interface ProjectQuery {
  readonly q: string;
  readonly status: ProjectStatus | null;
}

interface ProjectsPageProps {
  readonly rows: readonly ProjectRow[];
  readonly query: ProjectQuery;
  readonly isFirst: boolean;
  /** Cursor of the next page. */
  readonly next: string | null;
  readonly now: number;
}

function address({ q, status }: ProjectQuery, cursor?: string): string {
  const search = new URLSearchParams({
    ...(q === "" ? {} : { q }),
    ...(status === null ? {} : { status }),
    ...(cursor === undefined ? {} : { cursor }),
  });
  return search.size === 0 ? "/projects" : `/projects?${search.toString()}`;
}

export function ProjectsPage({ rows, query, isFirst, next, now }: ProjectsPageProps) {
  return (
    <>
      <Heading title="Projects" />
      <Search query={query} />
      {rows.length === 0 ? <NoProjects query={query} isFirst={isFirst} /> : <ProjectList rows={rows} now={now} />}
      <Paging first={isFirst ? null : address(query)} next={next === null ? null : address(query, next)} />
    </>
  );
}

function Search({ query }: { readonly query: ProjectQuery }) {
  return (
    <div class="filters" data-still>
      <form method="get" action="/projects" role="search">
        <label for="q">Name or id</label>
        <input id="q" name="q" type="search" value={query.q} maxlength={200} />
        {query.status === null ? null : <input type="hidden" name="status" value={query.status} />}
        <button class="button" type="submit">
          Search
        </button>
      </form>
      <nav aria-label="By status">
        <ul class="tabs">
          <li>
            <a href={address({ ...query, status: null })} {...(query.status === null ? { "aria-current": "true" as const } : {})}>
              All
            </a>
          </li>
          {PROJECT_STATUSES.map((status) => (
            <li>
              <a href={address({ ...query, status })} {...(query.status === status ? { "aria-current": "true" as const } : {})}>
                {status.slice(0, 1)}
                {status.slice(1).toLowerCase()}
              </a>
            </li>
          ))}
        </ul>
      </nav>
    </div>
  );
}

function NoProjects({ query: { q, status }, isFirst }: { readonly query: ProjectQuery; readonly isFirst: boolean }) {
  if (q === "" && status === null && isFirst) {
    return (
      <Nothing>
        There are no projects yet. Make one with <code>POST /api/projects</code>: <a href="/docs">the reference</a> has an example to send.
      </Nothing>
    );
  }
  return (
    <Nothing>
      No project matches{q === "" ? "" : ` “${q}”`}
      {status === null ? "" : ` with the status ${status.toLowerCase()}`}. <a href="/projects">Show all</a>
    </Nothing>
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
              {used === null ? "unknown" : grouped(used)} <span class="muted">of {cap === null ? "unlimited" : grouped(cap)}</span>
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
                ; ends by itself <Time at={until} now={now} />
              </>
            )}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** What can be done to a project; each leads to a page that asks once more. */
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

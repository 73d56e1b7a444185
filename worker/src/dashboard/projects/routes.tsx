/** Pages that list, show, suspend and reactivate projects. */
import { Problem } from "../../errors.ts";
import { note } from "../../http/fields.ts";
import { createRouter } from "../../http/index.ts";
import type { AppContext } from "../../http/index.ts";
import { page, timeCursor, timeKey } from "../../http/paging.ts";
import { dayOf } from "../../lib/time.ts";
import { listDetections } from "../../store/abuse/abuse.ts";
import { listKeys } from "../../store/keys/api-keys.ts";
import { listBackups } from "../../store/backups/backups.ts";
import { listEvents } from "../../store/events.ts";
import { CAP_TYPES } from "../../store/limits/meters.ts";
import { PROJECT_STATUSES, listProjects } from "../../store/projects/projects.ts";
import { findRestore } from "../../store/backups/restores.ts";
import { listEvaluations, listSuspensions } from "../../store/suspension/suspensions.ts";
import { usageOfProjects } from "../../store/limits/usage.ts";
import { listDeliveries } from "../../store/webhooks/deliveries.ts";
import { listWebhooks } from "../../store/webhooks/webhooks.ts";
import { BY_ADMIN } from "../../tenants/changing.ts";
import { getProject } from "../../tenants/projects/projects.ts";
import { reactivateProject, suspendProject } from "../../tenants/suspension/suspension.ts";
import { capUsage, getProjectUsage } from "../../tenants/limits/usage.ts";
import { addConfirmation } from "../confirm.tsx";
import { REFRESH_SECONDS, seqParameter, choiceParameter, pageBySeq, pathParameter, signedIn, searchParameter } from "../guard.ts";
import { sendPage } from "../page.tsx";
import { ProjectPage, USAGE_DAYS } from "./project.tsx";
import { ProjectsPage, Reasons } from "./projects.tsx";

const PROJECTS_PER_PAGE = 25;
const MAX_KEYS = 50;
const HISTORY_PER_PAGE = 10;
/** An extra row shows that there is a next page. */
const LIMIT = HISTORY_PER_PAGE + 1;
/** The most webhooks of a project. */
const MAX_WEBHOOKS = 20;
const MAX_SEARCH_CHARACTERS = 200;

export const projectPages = createRouter();

projectPages.get(
  "/projects",
  signedIn(async (c, session) => {
    const { db, clock } = c.get("deps");
    const now = clock();
    const query = { q: searchParameter(c, "q", MAX_SEARCH_CHARACTERS), status: choiceParameter(c, "status", PROJECT_STATUSES) };
    const after = timeCursor(c.req.query("cursor"));
    const filter = { organizationId: null, status: query.status, text: query.q || null, after, limit: PROJECTS_PER_PAGE + 1 };
    const { rows, next } = page(await listProjects(db, filter, now), PROJECTS_PER_PAGE, timeKey);
    const ids = rows.map(({ id }) => id);
    const used = rows.length === 0 ? [] : await usageOfProjects(db, ids, dayOf(now));
    const withUsage = rows.map((project) => {
      const caps = CAP_TYPES.map((type) => {
        const use = used.find(({ project_id, meter }) => project_id === project.id && meter === type);
        return capUsage(type, use, project.caps.find(({ cap_type }) => cap_type === type)?.value ?? null);
      });
      return { project, caps };
    });
    const content = <ProjectsPage page={{ rows: withUsage, query, isFirst: after === null, next, now }} />;
    return sendPage(c, { title: "Projects", session, place: "/projects", refresh: REFRESH_SECONDS }, content);
  }),
);

const idOf = (c: AppContext): string => pathParameter(c, "id");

projectPages.get(
  "/projects/:id",
  signedIn(async (c, session) => {
    const deps = c.get("deps");
    const { db, clock } = deps;
    const [id, now] = [idOf(c), clock()];
    const project = await getProject(deps, id);
    type Part = Readonly<{ before: number | null; limit: number }>;
    const latest = async <Row extends { readonly seq: number }>(list: string, read: (part: Part) => Promise<readonly Row[]>) =>
      pageBySeq(await read({ before: seqParameter(c, `${list}_before`), limit: LIMIT }), HISTORY_PER_PAGE);
    const backupsAfter = timeCursor(c.req.query("backups_before"));
    const [usage, keys, webhooks, backups, restore, suspensions, evaluations, events, deliveries, decisions] = await Promise.all([
      getProjectUsage(deps, id, USAGE_DAYS),
      listKeys(db, id, { after: null, limit: MAX_KEYS }),
      listWebhooks(db, id, { after: null, limit: MAX_WEBHOOKS }),
      listBackups(db, { projectId: id, status: null, after: backupsAfter, limit: LIMIT }),
      findRestore(db, id),
      latest("suspensions", async (part) => listSuspensions(db, id, part, now)),
      latest("evaluations", async (part) => listEvaluations(db, id, part)),
      latest("events", async (part) => listEvents(db, id, part)),
      latest("deliveries", async (part) => listDeliveries(db, { projectId: id, webhookId: null, status: null, ...part })),
      latest("decisions", async (part) => listDetections(db, id, part)),
    ]);
    const lists = { suspensions, evaluations, events, deliveries, decisions, backups: page(backups, HISTORY_PER_PAGE, timeKey) };
    const content = <ProjectPage {...{ project, usage, keys, webhooks, restore, now }} {...lists} />;
    return sendPage(c, { title: project.name, session, place: "/projects", refresh: REFRESH_SECONDS }, content);
  }),
);

/** Reason from the form. Throws `invalid_request`. */
function reasonOf({ reason = "" }: Readonly<Record<string, string>>): string {
  const read = note.safeParse(reason);
  if (!read.success) throw new Problem("invalid_request", `The reason ${read.error.issues[0]?.message ?? "is not valid"}.`);
  return read.data;
}

addConfirmation(projectPages, {
  path: "/projects/:id/suspend",
  place: "/projects",
  dialog: async (c, { reason = "" }, isInvalid) => {
    const { id, name } = await getProject(c.get("deps"), idOf(c));
    return {
      name: "Suspend",
      title: `Suspend ${name}?`,
      button: "Suspend",
      danger: true,
      back: `/projects/${id}`,
      text: (
        <p>
          All requests of <code>{id}</code> are refused from now on, until an operator reactivates it.
        </p>
      ),
      fields: (
        <ReasonField value={reason} invalid={isInvalid} help="The project sees it in every refusal. It is recorded in the audit log." />
      ),
    };
  },
  act: async (c, form) => {
    await suspendProject(c.get("deps"), idOf(c), reasonOf(form), BY_ADMIN);
    return `/projects/${idOf(c)}`;
  },
});

addConfirmation(projectPages, {
  path: "/projects/:id/reactivate",
  place: "/projects",
  dialog: async (c, { reason = "" }, isInvalid) => {
    const deps = c.get("deps");
    const project = await getProject(deps, idOf(c));
    return {
      name: "Reactivate",
      title: `Reactivate ${project.name}?`,
      button: "Reactivate",
      back: `/projects/${project.id}`,
      text: (
        <>
          <p>This lifts all its suspensions. If it is still over a cap, the next sweep suspends it again. Raise the cap instead.</p>
          <Reasons project={project} now={deps.clock()} />
        </>
      ),
      fields: <ReasonField value={reason} invalid={isInvalid} help="Recorded in the audit log. The project does not see it." />,
    };
  },
  act: async (c, form) => {
    await reactivateProject(c.get("deps"), idOf(c), { detail: reasonOf(form), reasons: null }, BY_ADMIN);
    return `/projects/${idOf(c)}`;
  },
});

interface ReasonFieldProps {
  readonly value: string;
  readonly help: string;
  readonly invalid: boolean;
}

function ReasonField({ value, help, invalid }: ReasonFieldProps) {
  return (
    <>
      <label for="reason">Reason</label>
      <input
        id="reason"
        name="reason"
        value={value}
        required
        maxlength={500}
        autocomplete="off"
        autofocus
        aria-describedby={invalid ? "failure reason-help" : "reason-help"}
        {...(invalid ? { "aria-invalid": "true" as const } : {})}
      />
      <p class="muted" id="reason-help">
        {help}
      </p>
    </>
  );
}

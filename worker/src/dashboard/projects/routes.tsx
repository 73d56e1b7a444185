/** Projects for operators: the list, one in full, and stopping and starting it by hand. */
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
import { beforeSeq, chosenOf, pageBySeq, pathParameter, signedIn, soughtText } from "../guard.ts";
import { sendPage } from "../page.tsx";
import { ConfirmPage, ReasonField } from "../confirm.tsx";
import type { Past } from "./history.tsx";
import { ProjectPage, USAGE_DAYS } from "./project.tsx";
import { ProjectsPage, Reasons } from "./projects.tsx";
import { sessionForm } from "../session.ts";
import type { Session } from "../session.ts";

const REFRESH_SECONDS = 15;
const PROJECTS_SHOWN = 25;
const KEYS_SHOWN = 50;
const PAST_SHOWN = 10;
/** The row more tells that there is a next page. */
const LIMIT = PAST_SHOWN + 1;
/** A project has no more of them. */
const WEBHOOKS_SHOWN = 20;
const MAX_SEARCH_CHARACTERS = 200;

export const projectPages = createRouter();

projectPages.get(
  "/projects",
  signedIn(async (c, session) => {
    const { db, clock } = c.get("deps");
    const now = clock();
    const query = { q: soughtText(c, "q", MAX_SEARCH_CHARACTERS), status: chosenOf(c, "status", PROJECT_STATUSES) };
    const after = timeCursor(c.req.query("cursor"));
    const filter = { organizationId: null, status: query.status, text: query.q === "" ? null : query.q, after, limit: PROJECTS_SHOWN + 1 };
    const { rows, next } = page(await listProjects(db, filter, now), PROJECTS_SHOWN, timeKey);
    const ids = rows.map(({ id }) => id);
    const used = rows.length === 0 ? [] : await usageOfProjects(db, ids, dayOf(now));
    const shown = rows.map((project) => {
      const caps = CAP_TYPES.map((type) => {
        const use = used.find(({ project_id, meter }) => project_id === project.id && meter === type);
        return capUsage(type, use, project.caps.find(({ cap_type }) => cap_type === type)?.value ?? null);
      });
      return { project, caps };
    });
    const content = <ProjectsPage rows={shown} query={query} isFirst={after === null} next={next} now={now} />;
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
    const before = {
      deliveries: beforeSeq(c, "deliveries_before"),
      backups: timeCursor(c.req.query("backups_before")),
      decisions: beforeSeq(c, "decisions_before"),
    };
    const [usage, keys, past, webhooks, deliveries, backups, decisions, restore] = await Promise.all([
      getProjectUsage(deps, id, USAGE_DAYS),
      listKeys(db, id, { after: null, limit: KEYS_SHOWN }),
      pastOf(c, id, now),
      listWebhooks(db, id, { after: null, limit: WEBHOOKS_SHOWN }),
      listDeliveries(db, { projectId: id, webhookId: null, status: null, before: before.deliveries, limit: LIMIT }),
      listBackups(db, { projectId: id, status: null, after: before.backups, limit: LIMIT }),
      listDetections(db, id, { before: before.decisions, limit: LIMIT }),
      findRestore(db, id),
    ]);
    const lists = {
      deliveries: pageBySeq(deliveries, PAST_SHOWN),
      backups: page(backups, PAST_SHOWN, timeKey),
      decisions: pageBySeq(decisions, PAST_SHOWN),
    };
    const shown = { project, usage, keys, past, webhooks, restore, now };
    const content = <ProjectPage {...shown} {...lists} />;
    return sendPage(c, { title: project.name, session, place: "/projects", refresh: REFRESH_SECONDS }, content);
  }),
);

async function pastOf(c: AppContext, id: string, now: number): Promise<Past> {
  const { db } = c.get("deps");
  const [suspensions, evaluations, events] = await Promise.all([
    listSuspensions(db, id, { before: beforeSeq(c, "suspensions_before"), limit: LIMIT }, now),
    listEvaluations(db, id, { before: beforeSeq(c, "evaluations_before"), limit: LIMIT }),
    listEvents(db, id, { before: beforeSeq(c, "events_before"), limit: LIMIT }),
  ]);
  return {
    suspensions: pageBySeq(suspensions, PAST_SHOWN),
    evaluations: pageBySeq(evaluations, PAST_SHOWN),
    events: pageBySeq(events, PAST_SHOWN),
  };
}

/** A form that was not right: what was written stays. */
interface Tried {
  readonly reason: string;
  readonly failure: string | null;
}

const UNTRIED: Tried = { reason: "", failure: null };

async function askSuspend(c: AppContext, session: Session, { reason, failure }: Tried): Promise<Response> {
  const project = await getProject(c.get("deps"), idOf(c));
  const path = `/projects/${project.id}`;
  const fields = (
    <ReasonField value={reason} wrong={failure !== null} help="Shown to the project with every refusal, and kept in the audit log." />
  );
  const content = (
    <ConfirmPage
      session={session}
      title={`Suspend ${project.name}?`}
      action={`${path}/suspend`}
      button="Suspend"
      danger
      back={path}
      failure={failure}
      fields={fields}
    >
      <p>
        From its next request on, everything that <code>{project.id}</code> asks for is refused, until somebody reactivates it.
      </p>
    </ConfirmPage>
  );
  return sendPage(c, { title: "Suspend", session, place: "/projects", status: failure === null ? 200 : 400 }, content);
}

async function askReactivate(c: AppContext, session: Session, { reason, failure }: Tried): Promise<Response> {
  const deps = c.get("deps");
  const project = await getProject(deps, idOf(c));
  const path = `/projects/${project.id}`;
  const fields = <ReasonField value={reason} wrong={failure !== null} help="Kept in the audit log, and not shown to the project." />;
  const content = (
    <ConfirmPage
      session={session}
      title={`Reactivate ${project.name}?`}
      action={`${path}/reactivate`}
      button="Reactivate"
      back={path}
      failure={failure}
      fields={fields}
    >
      <p>
        Every reason that stops it is lifted, for its next request. One that is still over a cap is stopped again by the next sweep: raise
        the cap instead.
      </p>
      <Reasons project={project} now={deps.clock()} />
    </ConfirmPage>
  );
  return sendPage(c, { title: "Reactivate", session, place: "/projects", status: failure === null ? 200 : 400 }, content);
}

const ACTIONS = {
  suspend: { ask: askSuspend, act: async (c: AppContext, reason: string) => suspendProject(c.get("deps"), idOf(c), reason, BY_ADMIN) },
  reactivate: {
    ask: askReactivate,
    act: async (c: AppContext, detail: string) => reactivateProject(c.get("deps"), idOf(c), { detail, reasons: null }, BY_ADMIN),
  },
} as const;

for (const name of ["suspend", "reactivate"] as const) {
  const { ask, act } = ACTIONS[name];
  projectPages.get(
    `/projects/:id/${name}`,
    signedIn(async (c, session) => ask(c, session, UNTRIED)),
  );
  projectPages.post(
    `/projects/:id/${name}`,
    signedIn(async (c, session) => {
      const reason = (await sessionForm(c, session))["reason"] ?? "";
      const read = note.safeParse(reason);
      if (!read.success) return ask(c, session, { reason, failure: `Reason: ${read.error.issues[0]?.message ?? "not valid"}.` });
      try {
        await act(c, read.data);
      } catch (error) {
        if (error instanceof Problem && error.code === "conflict") return ask(c, session, { reason, failure: error.detail });
        throw error;
      }
      return c.redirect(`/projects/${idOf(c)}`, 303);
    }),
  );
}

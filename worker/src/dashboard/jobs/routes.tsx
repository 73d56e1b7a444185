/** Jobs, the harvest, what monitoring reported and the audit log, for operators. */
import { createRouter } from "../../http/index.ts";
import { page, seqCursor, seqKey, timeCursor, timeKey } from "../../http/paging.ts";
import { JOB_TYPES } from "../../jobs/catalog.ts";
import { knownJob, readJob, readSchedules } from "../../jobs/reading.ts";
import { listAudit } from "../../store/changes.ts";
import { harvestOverview } from "../../store/library/harvest.ts";
import { SIGNAL_SOURCES, listSignals } from "../../store/monitoring/signals.ts";
import { JOB_STATUSES, listJobs, unfinishedJobs } from "../../store/jobs/jobs.ts";
import { BY_ADMIN } from "../../tenants/changing.ts";
import { chosenOf, signedIn, soughtText } from "../guard.ts";
import { sendPage } from "../page.tsx";
import { AuditPage } from "../monitoring/audit.tsx";
import { ConfirmPage } from "../confirm.tsx";
import { HarvestPage } from "../library/harvest.tsx";
import { JobPage } from "./job.tsx";
import { JobsPage } from "./jobs.tsx";
import { SignalsPage } from "../monitoring/signals.tsx";
import { sessionForm } from "../session.ts";

const JOBS_REFRESH_SECONDS = 5;
const REFRESH_SECONDS = 15;
const SHOWN = 50;
const JOBS_SHOWN = 25;
const BRIEF = 8;
const RUNS_SHOWN = 20;

export const operationsPages = createRouter();

operationsPages.get(
  "/jobs",
  signedIn(async (c, session) => {
    const { db, clock, config } = c.get("deps");
    const now = clock();
    const query = { type: chosenOf(c, "type", JOB_TYPES), status: chosenOf(c, "status", JOB_STATUSES) };
    const after = timeCursor(c.req.query("cursor"));
    const filter = { type: query.type ?? undefined, status: query.status ?? undefined };
    const { rows, next } = page(await listJobs(db, filter, after, JOBS_SHOWN + 1), JOBS_SHOWN, timeKey);
    const isWhole = query.type === null && query.status === null && after === null;
    const [unfinished, failed, schedules] = isWhole
      ? await Promise.all([unfinishedJobs(db, BRIEF), listJobs(db, { status: "failed" }, null, BRIEF), readSchedules(db, config, now)])
      : [[], [], []];
    const overview = isWhole ? { unfinished, failed, schedules } : null;
    const content = <JobsPage overview={overview} rows={rows} query={query} isFirst={after === null} next={next} now={now} />;
    return sendPage(c, { title: "Jobs", session, place: "/jobs", refresh: JOBS_REFRESH_SECONDS }, content);
  }),
);

operationsPages.get(
  "/jobs/:id",
  signedIn(async (c, session) => {
    const deps = c.get("deps");
    const { row, attempts } = await readJob(deps, c.req.param("id") ?? "");
    const content = <JobPage row={row} attempts={attempts} session={session} now={deps.clock()} />;
    return sendPage(c, { title: row.type, session, place: "/jobs", refresh: JOBS_REFRESH_SECONDS }, content);
  }),
);

operationsPages.post(
  "/jobs/:id/retry",
  signedIn(async (c, session) => {
    await sessionForm(c, session);
    const { db, jobs } = c.get("deps");
    const row = await knownJob(db, c.req.param("id") ?? "");
    const { id } = await jobs.retry(row, { requestedBy: BY_ADMIN.actor, requestId: c.get("requestId") });
    return c.redirect(`/jobs/${id}`, 303);
  }),
);

operationsPages.get(
  "/jobs/:id/cancel",
  signedIn(async (c, session) => {
    const row = await knownJob(c.get("deps").db, c.req.param("id") ?? "");
    const path = `/jobs/${row.id}`;
    const content = (
      <ConfirmPage
        session={session}
        title={`Cancel this ${row.type} job?`}
        action={`${path}/cancel`}
        button="Cancel the job"
        danger
        back={path}
      >
        <p>No further step of it begins. What a step under way has done already stays done.</p>
      </ConfirmPage>
    );
    return sendPage(c, { title: "Cancel", session, place: "/jobs" }, content);
  }),
);

operationsPages.post(
  "/jobs/:id/cancel",
  signedIn(async (c, session) => {
    await sessionForm(c, session);
    const { db, jobs } = c.get("deps");
    const { id } = await jobs.cancel(await knownJob(db, c.req.param("id") ?? ""));
    return c.redirect(`/jobs/${id}`, 303);
  }),
);

operationsPages.get(
  "/harvest",
  signedIn(async (c, session) => {
    const { db, clock } = c.get("deps");
    const content = <HarvestPage overview={await harvestOverview(db, RUNS_SHOWN, RUNS_SHOWN)} now={clock()} />;
    return sendPage(c, { title: "Harvest", session, place: "/harvest", refresh: REFRESH_SECONDS }, content);
  }),
);

operationsPages.get(
  "/signals",
  signedIn(async (c, session) => {
    const { db, clock } = c.get("deps");
    const query = { project: soughtText(c, "project", 64), source: chosenOf(c, "source", SIGNAL_SOURCES) };
    const before = seqCursor(c.req.query("cursor"));
    const filter = { projectId: query.project || null, source: query.source, before, limit: SHOWN + 1 };
    const { rows, next } = page(await listSignals(db, filter), SHOWN, seqKey);
    const content = <SignalsPage rows={rows} query={query} isFirst={before === null} next={next} now={clock()} />;
    return sendPage(c, { title: "Signals", session, place: "/signals", refresh: REFRESH_SECONDS }, content);
  }),
);

operationsPages.get(
  "/audit",
  signedIn(async (c, session) => {
    const { db, clock } = c.get("deps");
    const query = { project: soughtText(c, "project", 64), subject: soughtText(c, "subject", 200) };
    const before = seqCursor(c.req.query("cursor"));
    const filter = { projectId: query.project || null, subject: query.subject || null, before, limit: SHOWN + 1 };
    const { rows, next } = page(await listAudit(db, filter), SHOWN, seqKey);
    const content = <AuditPage rows={rows} query={query} isFirst={before === null} next={next} now={clock()} />;
    return sendPage(c, { title: "Audit", session, place: "/audit", refresh: REFRESH_SECONDS }, content);
  }),
);

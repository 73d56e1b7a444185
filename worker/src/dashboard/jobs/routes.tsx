/** Pages that list, show, retry and cancel jobs. */
import type { Deps } from "../../deps.ts";
import { createRouter } from "../../http/index.ts";
import { page, timeCursor, timeKey } from "../../http/paging.ts";
import { JOB_TYPES } from "../../jobs/catalog.ts";
import { knownJob, readJob, readSchedules } from "../../jobs/reading.ts";
import { JOB_STATUSES, listJobs, unfinishedJobs } from "../../store/jobs/jobs.ts";
import { BY_ADMIN } from "../../tenants/changing.ts";
import { addConfirmation } from "../confirm.tsx";
import { choiceParameter, pathParameter, signedIn } from "../guard.ts";
import { sendPage } from "../page.tsx";
import { isFiltered } from "../parts.tsx";
import { sessionForm } from "../session.ts";
import { JobPage } from "./job.tsx";
import { JobsPage } from "./jobs.tsx";
import type { JobsOverview } from "./jobs.tsx";

const REFRESH_SECONDS = 5;
const PAGE_SIZE = 25;
const OVERVIEW_SIZE = 8;

export const jobPages = createRouter();

jobPages.get(
  "/jobs",
  signedIn(async (c, session) => {
    const { db, clock } = c.get("deps");
    const now = clock();
    const query = { type: choiceParameter(c, "type", JOB_TYPES), status: choiceParameter(c, "status", JOB_STATUSES) };
    const after = timeCursor(c.req.query("cursor"));
    const filter = { type: query.type ?? undefined, status: query.status ?? undefined };
    const list = { ...page(await listJobs(db, filter, after, PAGE_SIZE + 1), PAGE_SIZE, timeKey), query, isFirst: after === null, now };
    const overview = isFiltered(query) || after !== null ? null : await overviewOf(c.get("deps"), now);
    return sendPage(c, { title: "Jobs", session, place: "/jobs", refresh: REFRESH_SECONDS }, <JobsPage overview={overview} page={list} />);
  }),
);

async function overviewOf({ db, config }: Deps, now: number): Promise<JobsOverview> {
  const reads = [
    unfinishedJobs(db, OVERVIEW_SIZE),
    listJobs(db, { status: "failed" }, null, OVERVIEW_SIZE),
    readSchedules(db, config, now),
  ] as const;
  const [unfinished, failed, schedules] = await Promise.all(reads);
  return { unfinished, failed, schedules };
}

jobPages.get(
  "/jobs/:id",
  signedIn(async (c, session) => {
    const deps = c.get("deps");
    const { row, attempts } = await readJob(deps, pathParameter(c, "id"));
    const content = <JobPage row={row} attempts={attempts} session={session} now={deps.clock()} />;
    return sendPage(c, { title: row.type, session, place: "/jobs", refresh: REFRESH_SECONDS }, content);
  }),
);

jobPages.post(
  "/jobs/:id/retry",
  signedIn(async (c, session) => {
    await sessionForm(c, session);
    const { db, jobs } = c.get("deps");
    const row = await knownJob(db, pathParameter(c, "id"));
    const { id } = await jobs.retry(row, { requestedBy: BY_ADMIN.actor, requestId: c.get("requestId") });
    return c.redirect(`/jobs/${id}`, 303);
  }),
);

addConfirmation(jobPages, {
  path: "/jobs/:id/cancel",
  place: "/jobs",
  dialog: async (c) => {
    const row = await knownJob(c.get("deps").db, pathParameter(c, "id"));
    return {
      name: "Cancel",
      title: `Cancel this ${row.type} job?`,
      button: "Cancel the job",
      danger: true,
      back: `/jobs/${row.id}`,
      text: <p>No further step starts. Changes made by the current step remain.</p>,
    };
  },
  act: async (c) => {
    const { db, jobs } = c.get("deps");
    const { id } = await jobs.cancel(await knownJob(db, pathParameter(c, "id")));
    return `/jobs/${id}`;
  },
});

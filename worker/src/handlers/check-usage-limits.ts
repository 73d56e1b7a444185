/** `check_usage_limits`: the sweep. Each step checks one page of projects, so an interrupted sweep resumes at its page. */
import { findInactiveProjects } from "../store/limits/sweep.ts";
import { usageSweepPage } from "../telemetry/index.ts";
import { sweepPage } from "../tenants/limits/sweep.ts";
import type { SweepRequest, SweptPage } from "../tenants/limits/sweep.ts";
import { continueAs } from "./context.ts";
import type { JobContext, JobHandler } from "./context.ts";

/** Limits the job's result. The evaluations hold everything. */
const MAX_DETAILS = 1_000;

type Swept = SweptPage & {
  readonly last: string;
  readonly duration_ms: number;
  /** Whether the rest must be a new job. Stored with the page, so that an interrupted job decides the same again. */
  readonly is_enough?: boolean;
};

export const checkUsageLimitsHandler: JobHandler<"check_usage_limits"> = async (payload, job) => {
  const { project_ids = null, cap_types = null, enforce_limits, after } = payload;
  const request = { run: job.id, projectIds: project_ids, capTypes: cap_types, enforce: enforce_limits };
  job.log.info("Sweep started", {
    projects: project_ids?.length ?? "all active",
    enforce_limits,
    cap_types,
  });
  const unknown = project_ids === null || after !== undefined ? [] : await unknownProjects(project_ids, job);
  const pages: Swept[] = [];
  let rest: string | null = after ?? "";
  while (rest !== null) {
    const page: Swept | null = await nextPage(pages.length + 1, request, rest, job);
    if (page !== null) pages.push(page);
    if (page?.is_enough === true) break;
    rest = page?.last ?? null;
  }
  const last = pages.at(-1)?.last;
  const isWhole = rest === null || last === undefined;
  const next = isWhole ? null : await continueAs("begin the next part", "check_usage_limits", { ...payload, after: last }, job);
  const data = { ...summed(pages, unknown), next };
  job.log.info("Sweep completed", {
    projects_checked: data.projects_checked,
    projects_suspended: data.projects_suspended,
    warnings_sent: data.warnings_sent,
    errors: data.errors.length,
  });
  return { success: true, data };
};

async function nextPage(number: number, request: SweepRequest, after: string, job: JobContext): Promise<Swept | null> {
  return job.step(`page ${number}`, async (_attempt, deps) => {
    const began = deps.clock();
    const page = await usageSweepPage(deps.trace, async () => sweepPage(deps, request, after));
    if (page === null) return null;
    const { swept, last } = page;
    return { ...swept, details: swept.details.slice(0, MAX_DETAILS), last, duration_ms: deps.clock() - began, is_enough: deps.db.isUsedUp };
  });
}

async function unknownProjects(ids: readonly string[], job: JobContext) {
  const unknown = await job.step("look for the projects", async (_attempt, { db }) => findInactiveProjects(db, ids));
  return unknown.map((project_id) => ({ project_id, error: "the project does not exist or is not active" }));
}

function summed(pages: readonly Swept[], unknown: SweptPage["errors"]) {
  const sum = (pick: (page: Swept) => number): number => pages.reduce((total, page) => total + pick(page), 0);
  const details = pages.flatMap((page) => page.details);
  return {
    projects_checked: sum(({ projects_checked }) => projects_checked),
    projects_suspended: sum(({ projects_suspended }) => projects_suspended),
    warnings_sent: sum(({ warnings_sent }) => warnings_sent),
    details: details.slice(0, MAX_DETAILS),
    details_left_out: Math.max(0, sum(({ acted_on }) => acted_on) - Math.min(details.length, MAX_DETAILS)),
    errors: [...unknown, ...pages.flatMap(({ errors }) => errors)].slice(0, MAX_DETAILS),
    duration_ms: sum(({ duration_ms }) => duration_ms),
  };
}

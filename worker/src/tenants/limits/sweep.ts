/**
 * The sweep: compares counters and gauges with caps. It warns at 80 and 90%, suspends projects over a cap, and lifts reasons that have
 * ended. It works page by page, each in one transaction, so that it can resume.
 */
import type { Deps } from "../../deps.ts";
import { endOfDay, dayOf } from "../../lib/time.ts";
import { CAP_TYPES } from "../../store/limits/meters.ts";
import type { CapType } from "../../store/limits/meters.ts";
import { checkProjectQuotas, getActiveProjects } from "../../store/limits/sweep.ts";
import type { Action, Damage } from "../../store/limits/sweep.ts";
import { CAPS } from "./caps.ts";
import { THRESHOLDS } from "./thresholds.ts";

export interface SweepRequest {
  /** The job's id. */
  readonly run: string;
  /** null: all active projects. */
  readonly projectIds: readonly string[] | null;
  /** null: all caps. */
  readonly capTypes: readonly CapType[] | null;
  /** false: a dry run, which records its decisions without carrying them out. */
  readonly enforce: boolean;
}

export interface SweepDetail {
  readonly project_id: string;
  readonly exceeded: readonly CapType[];
  /** Such as "suspended:<cap>", "warned:<cap>:<percent>", "lifted:<cap>". */
  readonly actions: readonly string[];
}

/** Result of one page. */
export interface SweptPage {
  readonly projects_checked: number;
  readonly projects_suspended: number;
  readonly warnings_sent: number;
  /** Projects with at least one action. */
  readonly acted_on: number;
  readonly details: readonly SweepDetail[];
  readonly errors: readonly Damage[];
}

/** 8,000 rows of caps take a fraction of a second, and the pages stay within D1's 1,000 queries per invocation. */
const PAGE_SIZE = 2_000;

/** Checks the next page of projects (start with ""). Returns null after the last project. `last` is the cursor of the next page. */
export async function sweepPage(
  { db, clock }: Pick<Deps, "db" | "clock">,
  { run, projectIds, capTypes, enforce }: SweepRequest,
  after: string,
): Promise<{ readonly last: string; readonly swept: SweptPage } | null> {
  const now = clock();
  const sweep = {
    run,
    now,
    day: dayOf(now),
    dayEndsAt: endOfDay(now),
    types: (capTypes ?? CAP_TYPES).map((type) => ({ type, gauge: CAPS[type].kind === "gauge" })),
    capsOfProject: CAP_TYPES.length,
    thresholds: THRESHOLDS,
    projectIds,
    dryRun: !enforce,
  };
  const page = await getActiveProjects(db, sweep, after, PAGE_SIZE);
  if (!page) return null;
  const { actions, damaged } = await checkProjectQuotas(db, sweep, page);
  const details = detailsOf(actions);
  return {
    last: page.last,
    swept: {
      projects_checked: page.projects - damaged.length,
      projects_suspended: details.filter(({ exceeded }) => exceeded.length > 0).length,
      acted_on: details.length,
      warnings_sent: actions.filter(({ decision }) => decision === "warned").length,
      details,
      errors: damaged,
    },
  };
}

function detailsOf(actions: readonly Action[]): SweepDetail[] {
  return [...Map.groupBy(actions, ({ project_id }) => project_id)].map(([project_id, own]) => ({
    project_id,
    exceeded: own.filter(({ decision }) => decision === "suspended").map(({ cap_type }) => cap_type),
    actions: own.map(({ decision, cap_type, threshold }) => [decision, cap_type, threshold].filter((part) => part !== null).join(":")),
  }));
}

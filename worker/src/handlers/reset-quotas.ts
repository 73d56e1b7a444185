/** `reset_quotas`: closes billing periods that have ended, in pages of organizations. */
import type { Deps } from "../deps.ts";
import { quotaReset } from "../telemetry/index.ts";
import { resetPage } from "../tenants/billing/reset.ts";
import type { ResetPage } from "../tenants/billing/reset.ts";
import type { JobHandler } from "./context.ts";

/** A page needs five D1 queries. After a long outage the next run continues. */
const MAX_PAGES = 150;
const MAX_ERRORS = 1_000;

export const resetQuotasHandler: JobHandler<"reset_quotas"> = async (_payload, job) => {
  const { deps } = job;
  if (!deps.config.reset.enabled) {
    job.log.info("Monthly reset skipped", { reason: "QUOTA_RESET_ENABLED is false" });
    return { success: true, data: { skipped: "QUOTA_RESET_ENABLED is false" } };
  }
  job.log.info("Monthly reset started");
  const data = await job.step("execute", async (attempt, stepDeps) => {
    const { rowsUpdated, ...rest } = await quotaReset(stepDeps.trace, attempt, async () => resetAll(stepDeps, job.id));
    return { rows_updated: rowsUpdated, ...rest };
  });
  job.log.info("Monthly reset completed", {
    periods_closed: data.rows_updated,
    organizations: data.organizations,
    errors: data.errors.length,
  });
  return { success: true, data };
};

/** A failed attempt keeps the periods that it closed. The next attempt finds the rest. */
async function resetAll(deps: Deps, run: string) {
  const pages: ResetPage[] = [];
  for (let after = ""; pages.length < MAX_PAGES;) {
    const page = await resetPage(deps, run, after);
    if (page === null) break;
    pages.push(page);
    after = page.last;
  }
  const sum = (pick: (page: ResetPage) => number): number => pages.reduce((total, page) => total + pick(page), 0);
  return {
    organizations: sum(({ organizations }) => organizations),
    rowsUpdated: sum(({ periods_closed }) => periods_closed),
    suspensions_lifted: sum(({ suspensions_lifted }) => suspensions_lifted),
    errors: pages.flatMap(({ errors }) => errors).slice(0, MAX_ERRORS),
  };
}

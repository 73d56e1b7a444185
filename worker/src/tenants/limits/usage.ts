/** A project's usage compared with its limits. */
import type { Deps } from "../../deps.ts";
import { defaultShare, projectCaller } from "../../quota/index.ts";
import { DAY_MS, isoSeconds, endOfDay, dayOf } from "../../lib/time.ts";
import { CAP_TYPES } from "../../store/limits/meters.ts";
import type { CapType } from "../../store/limits/meters.ts";
import { findOrganization } from "../../store/billing/organizations.ts";
import { projectUsage } from "../../store/limits/usage.ts";
import type { UsageRow } from "../../store/limits/usage.ts";
import { shareModeOf } from "../../store/projects/projects.ts";
import { reasonJson } from "./admission.ts";
import { CAPS } from "./caps.ts";
import { organizationJson } from "../billing/organizations.ts";
import { getProject } from "../projects/projects.ts";
import { capState, percentOf, thresholdsReached } from "./thresholds.ts";

/**
 * Usage of a cap. Null if the source has no data, which is not 0. A level is below 0 if a closed connection was reported before its
 * opening. It counts as 0.
 */
function usedOf(row: Pick<UsageRow, "counted" | "level"> | undefined, kind: "counter" | "gauge"): number | null {
  if (!row) return null;
  if (kind === "counter") return row.counted ?? 0;
  return row.level === null ? null : Math.max(0, row.level);
}

/** A cap with its usage. */
export function capUsage(type: CapType, row: Pick<UsageRow, "counted" | "level"> | undefined, cap: number | null) {
  const usage = { used: usedOf(row, CAPS[type].kind), cap };
  return { cap_type: type, kind: CAPS[type].kind, ...usage, percent: percentOf(usage), state: capState(type, usage) };
}

export type CapUsageView = ReturnType<typeof capUsage>;

/** `days`: UTC days of history, including today. Throws `not_found`. */
export async function getProjectUsage(deps: Pick<Deps, "db" | "clock" | "quota">, projectId: string, days: number) {
  const { db, clock, quota } = deps;
  const now = clock();
  const project = await getProject(deps, projectId);
  const since = dayOf(now - (days - 1) * DAY_MS);
  const caller = projectCaller(projectId);
  const [{ caps, days: history }, organization, upstream, quotaNow] = await Promise.all([
    projectUsage(db, projectId, { day: dayOf(now), since }),
    findOrganization(db, project.organization_id, now),
    // The tables are useful without the ledger. Its values are then unknown.
    quota.callerUse(caller).catch(() => null),
    quota.getStatus({ view: { own: caller } }).catch(() => null),
  ]);
  const capViews = CAP_TYPES.map((type) => {
    const row = caps.find(({ cap_type }) => cap_type === type);
    const { percent, state, ...usage } = capUsage(type, row, row?.cap ?? null);
    return {
      ...usage,
      remaining: usage.used === null || usage.cap === null ? null : Math.max(0, usage.cap - usage.used),
      percent,
      state,
      thresholds_reached: thresholdsReached(usage),
      revision: row?.revision ?? 0,
      reset_at: CAPS[type].kind === "counter" ? isoSeconds(endOfDay(now)) : null,
    };
  });
  const month = organization ? organizationJson(organization, now) : null;
  const limit = month?.quotas.api_calls ?? null;
  const mode = shareModeOf(project);
  // Only the ledger knows the current limit.
  const share = mode === "default" && quotaNow !== null ? defaultShare(quotaNow.safety_limit) : project.calls_per_day;
  const monthUsed = month?.period.api_calls ?? null;
  return {
    project_id: projectId,
    status: project.status,
    reasons: project.suspensions.map(reasonJson),
    as_of: isoSeconds(now),
    date: dayOf(now),
    reset_at: isoSeconds(endOfDay(now)),
    caps: capViews,
    organization: {
      id: project.organization_id,
      api_calls: {
        used: monthUsed,
        limit,
        remaining: limit === null || monthUsed === null ? null : Math.max(0, limit - monthUsed),
        percent: percentOf({ used: monthUsed, cap: limit }),
        period_starts_at: month?.period.starts_at ?? null,
        reset_at: month?.period.ends_at ?? null,
      },
    },
    upstream: {
      calls_per_day: share,
      share_mode: mode,
      used: upstream?.used ?? null,
      reserved: upstream?.reserved ?? null,
      remaining: upstream === null || share === null ? null : Math.max(0, share - upstream.used - upstream.reserved),
    },
    days: history,
  };
}

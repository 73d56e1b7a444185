/** The status that a snapshot shows. No I/O. No clock. */
import type { LedgerSnapshot } from "./snapshot.ts";
import { bySize, publicStatus } from "./status.ts";
import { PROJECTS_CALLER } from "./types.ts";
import type { QuotaStatus, StatusView } from "./types.ts";

/** A published status with the lines that are asked for; null where the snapshot does not know of `own` apart. */
export function publishedStatus({ status, callers }: LedgerSnapshot, view: StatusView): QuotaStatus | null {
  const named = callers.map(({ caller, used }) => ({ caller, used })).filter(({ used }) => used !== 0);
  const untracked = status.callers.filter(({ caller }) => caller === "untracked");
  const all = { ...status, callers: bySize([...named, ...untracked]) };
  if (view === "by_project") return all;
  const { own } = view;
  if (own === null) return status;
  const isKnown = callers.some(({ caller }) => caller === own) || !callers.some(({ caller }) => caller === PROJECTS_CALLER);
  return isKnown ? publicStatus(all, own) : null;
}

/** Waits for new calls: until the reset, or until an operator raises the limit. */
import { isDayUsedUp } from "./answers.ts";
import type { QuotaStatus } from "./answers.ts";
import { sleep } from "./run.ts";
import type { Run } from "./run.ts";

const DAY_MS = 86_400_000;

/** Next UTC midnight, for responses without a time of the reset. */
export function nextMidnight(now: number): string {
  return new Date((Math.floor(now / DAY_MS) + 1) * DAY_MS).toISOString();
}

/** Quota status. null and a warning if the request fails. */
export async function readStatus({ api, report }: Pick<Run, "api" | "report">): Promise<QuotaStatus | null> {
  const reply = await api.status();
  if (reply.kind === "answer") {
    report({ type: "quota", quota: reply.body });
    return reply.body;
  }
  report({ type: "warning", message: `Quota status unavailable: ${reply.detail}` });
  return null;
}

/** Ends when calls are available, after the reset if the status is unavailable, or when the run is interrupted. */
export async function waitForCalls(run: Run, resetAt: string): Promise<void> {
  let reset = Date.parse(resetAt);
  while (!run.interrupted.aborted) {
    // Sleeps first, so that a refused call is not repeated immediately even if the status allows it.
    const left = reset - Date.now();
    await sleep(left > 0 ? Math.min(left, run.statusIntervalMs) : run.statusIntervalMs, run.interrupted);
    if (run.interrupted.aborted) return;
    const status = await readStatus(run);
    if (status?.source === "ledger") {
      if (!isDayUsedUp(status)) return;
      reset = Date.parse(status.reset_at);
    } else if (Date.now() >= reset) return;
  }
}

/** Waiting for new calls: until the day begins anew, or an operator makes room earlier. */
import { saysDayIsOver } from "./answers.ts";
import type { QuotaStatus } from "./answers.ts";
import { sleep } from "./run.ts";
import type { Run } from "./run.ts";

const DAY_MS = 86_400_000;

/** The next UTC midnight, for answers that do not say when the day ends. */
export function nextMidnight(now: number): string {
  return new Date((Math.floor(now / DAY_MS) + 1) * DAY_MS).toISOString();
}

/** A failed request says nothing about the quota: null, with a warning. */
export async function readStatus({ api, tell }: Pick<Run, "api" | "tell">): Promise<QuotaStatus | null> {
  const reply = await api.status();
  if (reply.kind === "answer") {
    tell({ type: "quota", quota: reply.body });
    return reply.body;
  }
  tell({ type: "warning", message: `The quota's status is not to be had: ${reply.detail}` });
  return null;
}

/** Ends when there are calls again, when the day should have begun but nobody says so, or when the run is interrupted. */
export async function waitForCalls(run: Run, resetAt: string): Promise<void> {
  let reset = Date.parse(resetAt);
  while (!run.interrupted.aborted) {
    // Sleeps before it looks: what was refused a moment ago is not asked for again at once, whatever the status says.
    const left = reset - Date.now();
    await sleep(left > 0 ? Math.min(left, run.statusIntervalMs) : run.statusIntervalMs, run.interrupted);
    if (run.interrupted.aborted) return;
    const status = await readStatus(run);
    if (status?.source === "ledger") {
      if (!saysDayIsOver(status)) return;
      reset = Date.parse(status.reset_at);
    } else if (Date.now() >= reset) return;
  }
}

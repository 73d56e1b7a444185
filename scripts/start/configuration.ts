/** Checks the configuration by the Worker's own health check, so that the rules exist only once. */
import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "./user-error.js";
import { readLog } from "./logs.ts";
import type { RuntimeLog } from "./logs.ts";

/** The log line is written before the response but may arrive after it. */
const LOG_ARRIVES_WITHIN_MS = 2_000;
const POLL_MS = 20;

/** Configuration problems in a log line of the Worker, one per line. Empty for other log lines. */
export function configurationProblems(log: RuntimeLog): string[] {
  const { problems } = readLog(log).fields;
  if (!Array.isArray(problems)) return [];
  return problems.map(({ name, value, message }: Record<string, unknown>) => `${String(name)} ${String(message)} (${String(value)})`);
}

/**
 * Throws `UserError` with all invalid values, or with another reason why the Worker is unhealthy. `logs` grows while this waits.
 */
export async function checkConfiguration(workerUrl: string, logs: readonly RuntimeLog[], hint: string): Promise<void> {
  const answer = await fetch(`${workerUrl}/health`);
  const body = await answer.text();
  if (answer.status === 200) return;
  const giveUpAt = performance.now() + LOG_ARRIVES_WITHIN_MS;
  while (answer.status === 500 && performance.now() < giveUpAt) {
    const problems = new Set(logs.flatMap(configurationProblems));
    if (problems.size > 0) throw new UserError([...problems, "", hint].join("\n"));
    await sleep(POLL_MS);
  }
  const lastError = logs.map(readLog).findLast(({ level }) => level === "error");
  throw new UserError(`The Worker is not healthy: ${answer.status} ${lastError?.message ?? body}`);
}

/** Throws `UserError` if a job waits for a cron that never fires. The Worker cannot check this, because it cannot read wrangler.jsonc. */
export async function checkCrons(
  { url, token }: { readonly url: string; readonly token: string },
  triggers: readonly string[],
  hint: string,
): Promise<void> {
  const answer = await fetch(`${url}/api/jobs/schedules`, { headers: { authorization: `Bearer ${token}` } });
  const { schedules = [] } = (await answer.json()) as { schedules?: { cron: string; type: string }[] };
  const missing = schedules.filter(({ cron }) => !triggers.includes(cron));
  if (missing.length === 0) return;
  const lines = missing.map(({ cron, type }) => {
    const name = type === "reset_quotas" ? "QUOTA_RESET_SCHEDULE" : `The schedule of ${type}`;
    return `${name} must be one of the cron triggers ${triggers.map((each) => JSON.stringify(each)).join(", ")} (got ${JSON.stringify(cron)})`;
  });
  throw new UserError([...lines, "", hint].join("\n"));
}

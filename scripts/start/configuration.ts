/** Whether the Worker accepts its configuration: asked of the Worker itself, so that nothing is checked in two places. */
import { setTimeout as sleep } from "node:timers/promises";
import { Foreseen } from "./foreseen.js";
import { readLog } from "./logs.ts";
import type { RuntimeLog } from "./logs.ts";

const MESSAGE = "The configuration is wrong";

/** The log line is written before the answer, but takes another way out of the runtime. */
const LOG_ARRIVES_WITHIN_MS = 2_000;
const POLL_MS = 20;

/** The Worker's complaints in words, one a line; empty where this is not about the configuration. */
export function configurationProblems(log: RuntimeLog): string[] {
  const { message, fields } = readLog(log);
  const { problems } = fields;
  if (message !== MESSAGE || !Array.isArray(problems)) return [];
  return problems.map(({ name, value, message }: Record<string, unknown>) => `${String(name)} ${String(message)} (${String(value)})`);
}

/**
 * Throws `Foreseen` naming every wrong value, or saying what else keeps the Worker from being healthy. `logs` grows while this waits.
 */
export async function checkConfiguration(workerUrl: string, logs: readonly RuntimeLog[], hint: string): Promise<void> {
  const answer = await fetch(`${workerUrl}/health`);
  const body = await answer.text();
  if (answer.status === 200) return;
  const giveUpAt = performance.now() + LOG_ARRIVES_WITHIN_MS;
  while (answer.status === 500 && performance.now() < giveUpAt) {
    const problems = new Set(logs.flatMap(configurationProblems));
    if (problems.size > 0) throw new Foreseen([...problems, "", hint].join("\n"));
    await sleep(POLL_MS);
  }
  const lastWords = logs.map(readLog).findLast(({ level }) => level === "error");
  throw new Foreseen(`The Worker is not healthy: ${answer.status} ${lastWords?.message ?? body}`);
}

/** Throws `Foreseen` where a job waits for a cron that never fires: the triggers stand in wrangler.jsonc, which no Worker can read. */
export async function checkCrons(
  { url, token }: { readonly url: string; readonly token: string },
  triggers: readonly string[],
  hint: string,
): Promise<void> {
  const answer = await fetch(`${url}/api/jobs/schedules`, { headers: { authorization: `Bearer ${token}` } });
  const { schedules = [] } = (await answer.json()) as { schedules?: { cron: string; type: string }[] };
  const silent = schedules.filter(({ cron }) => !triggers.includes(cron));
  if (silent.length === 0) return;
  const told = silent.map(({ cron, type }) => {
    const name = type === "reset_quotas" ? "QUOTA_RESET_SCHEDULE" : `The schedule of ${type}`;
    return `${name} must be one of the cron triggers ${triggers.map((each) => JSON.stringify(each)).join(", ")} (got ${JSON.stringify(cron)})`;
  });
  throw new Foreseen([...told, "", hint].join("\n"));
}

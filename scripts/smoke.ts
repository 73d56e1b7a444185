/** `npm run smoke`: checks a deployment over HTTP. It restores the count in every case. */
import { runCommand } from "./lib/options.ts";
import { Client } from "./smoke/client.ts";
import { Unexpected } from "./smoke/expect.ts";
import { leaksIn } from "./smoke/leaks.ts";
import { COMMAND_LINE, optionsFrom } from "./smoke/options.ts";
import type { Options } from "./smoke/options.ts";
import { checkHealth, checkReading, checkStatus, checkToken } from "./smoke/reading-checks.ts";
import { Report } from "./smoke/report.ts";
import { CountOverride, checkCounting, checkRefusing } from "./smoke/spending-checks.ts";

async function runChecks(client: Client, report: Report, count: CountOverride, { yes, secrets }: Options): Promise<void> {
  if (!(await checkHealth(client, report))) return;
  const quota = await checkStatus(client, report);
  await checkReading(client, report);

  if ((await checkToken(client, report)) && quota !== null) {
    const inUse = quota.used > 0 || quota.reserved > 0;
    await checkCounting(client, report, inUse);
    if (!inUse || yes) await checkRefusing(client, report, count);
    else report.skip("refusal at the limit", "pass --yes to set the count and restore it");
  }
  await report.check("no leaks of secrets, stacks or the provider's address", async () => {
    const leaks = leaksIn(client.answers, secrets);
    if (leaks.length > 0) throw new Unexpected("no leaks", leaks.join("; "));
    return `${client.answers.length} responses searched`;
  });
}

/** false if the count could not be restored and an operator must fix it. */
async function restoreCount(count: CountOverride): Promise<boolean> {
  try {
    const used = await count.restore();
    if (used !== null) console.log(`\n  Today's count was restored to ${used}.`);
    return true;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    console.error(`\n  Today's count was not restored (${message}). Set it with PUT /api/quota/usage.`);
    return false;
  }
}

async function smoke(options: Options): Promise<number> {
  const interruption = new AbortController();
  process.once("SIGINT", () => interruption.abort());
  process.once("SIGTERM", () => interruption.abort());

  const client = new Client(options.baseUrl, options.token, interruption.signal);
  const report = new Report();
  const count = new CountOverride(client);
  console.log(`\n  ${options.baseUrl}\n`);
  try {
    await runChecks(client, report, count, options);
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
  } finally {
    if (!(await restoreCount(count))) process.exitCode = 1;
  }
  console.log(`\n  ${interruption.signal.aborted ? "Interrupted: " : ""}${report.summary()}.\n`);
  if (interruption.signal.aborted) return 130;
  return report.failed ? 1 : Number(process.exitCode ?? 0);
}

await runCommand(COMMAND_LINE, async (values) => {
  process.exitCode = await smoke(optionsFrom(values, process.env));
});

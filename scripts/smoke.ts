/** `npm run smoke`: a checklist for a deployment, over HTTP alone. What it changes it puts back, however it ends. */
import { runCommand } from "./lib/options.ts";
import { Client } from "./smoke/client.ts";
import { Unexpected } from "./smoke/expect.ts";
import { leaksIn } from "./smoke/leaks.ts";
import { COMMAND_LINE, optionsFrom } from "./smoke/options.ts";
import type { Options } from "./smoke/options.ts";
import { checkHealth, checkReading, checkStatus, checkToken } from "./smoke/reading-checks.ts";
import { Report } from "./smoke/report.ts";
import { CountByHand, checkCounting, checkRefusing } from "./smoke/spending-checks.ts";

async function runChecks(client: Client, report: Report, count: CountByHand, { yes, secrets }: Options): Promise<void> {
  if (!(await checkHealth(client, report))) return;
  const quota = await checkStatus(client, report);
  await checkReading(client, report);

  if ((await checkToken(client, report)) && quota !== null) {
    const inUse = quota.used > 0 || quota.reserved > 0;
    await checkCounting(client, report, inUse);
    if (!inUse || yes) await checkRefusing(client, report, count);
    else report.skip("refusing at the safety limit", "--yes sets the count by hand and puts it back");
  }
  await report.check("nothing leaked: no secret, no stack, no provider address", async () => {
    const leaks = leaksIn(client.answers, secrets);
    if (leaks.length > 0) throw new Unexpected("nothing of the kind", leaks.join("; "));
    return `${client.answers.length} answers searched`;
  });
}

/** False where the count is not what it should be, and somebody has to see to it. */
async function putBack(count: CountByHand): Promise<boolean> {
  try {
    const used = await count.restore();
    if (used !== null) console.log(`\n  Today's count is back at ${used}.`);
    return true;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    console.error(`\n  Today's count could not be put back (${message}). PUT /api/quota/usage sets it.`);
    return false;
  }
}

async function smoke(options: Options): Promise<number> {
  const interruption = new AbortController();
  process.once("SIGINT", () => interruption.abort());
  process.once("SIGTERM", () => interruption.abort());

  const client = new Client(options.baseUrl, options.token, interruption.signal);
  const report = new Report();
  const count = new CountByHand(client);
  console.log(`\n  ${options.baseUrl}\n`);
  try {
    await runChecks(client, report, count, options);
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
  } finally {
    if (!(await putBack(count))) process.exitCode = 1;
  }
  console.log(`\n  ${interruption.signal.aborted ? "Interrupted: " : ""}${report.summary()}.\n`);
  if (interruption.signal.aborted) return 130;
  return report.failed ? 1 : Number(process.exitCode ?? 0);
}

await runCommand(COMMAND_LINE, async (values) => {
  process.exitCode = await smoke(optionsFrom(values, process.env));
});

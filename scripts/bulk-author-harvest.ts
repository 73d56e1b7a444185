/** `npm run harvest`: fetches the bibliographies of many authors within the quota and keeps its progress. */
import { execute } from "./harvest/command.ts";
import { EXIT } from "./harvest/exit-codes.ts";
import { watchInterruptions } from "./harvest/interruption.ts";
import { COMMAND_LINE, readOptions } from "./harvest/options.ts";
import { Reporter } from "./harvest/report.ts";
import { helpOf } from "./lib/options.ts";
import { UserError } from "./start/user-error.js";

const args = process.argv.slice(2);
// Read before the other options, because it decides the format of their errors.
const json = args.includes("--json");
const terminal = process.stdout.isTTY && !json;
const reporter = new Reporter({ json, terminal });
const interrupted = watchInterruptions(() => {
  reporter.report({ type: "warning", message: "Stopping after the current response. Interrupt again to stop immediately." });
});

try {
  const options = readOptions(args, process.env);
  const interactive = terminal && process.stdin.isTTY;
  if (options === null) console.log(helpOf(COMMAND_LINE));
  else process.exitCode = await execute(options, { reporter, interrupted, interactive });
} catch (error) {
  reporter.close();
  if (error instanceof UserError) reporter.report({ type: "error", message: error.message });
  else console.error(error);
  process.exitCode = interrupted.aborted ? EXIT.interrupted : EXIT.fatal;
} finally {
  reporter.close();
}

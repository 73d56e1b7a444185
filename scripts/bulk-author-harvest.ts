/** `npm run harvest`: the bibliographies of many authors, overnight, never one call too many and losing no progress. */
import { execute } from "./harvest/command.ts";
import { EXIT } from "./harvest/exit-codes.ts";
import { watchInterruptions } from "./harvest/interruption.ts";
import { COMMAND_LINE, readOptions } from "./harvest/options.ts";
import { Reporter } from "./harvest/report.ts";
import { helpOf } from "./lib/options.ts";
import { Foreseen } from "./start/foreseen.js";

const args = process.argv.slice(2);
// Known before the options are read: their errors are reported, too.
const json = args.includes("--json");
const terminal = process.stdout.isTTY && !json;
const reporter = new Reporter({ json, terminal });
const interrupted = watchInterruptions(() => {
  reporter.tell({ type: "warning", message: "Stopping after the answer in flight. Interrupt again to end immediately." });
});

try {
  const options = readOptions(args, process.env);
  const attended = terminal && process.stdin.isTTY;
  if (options === null) console.log(helpOf(COMMAND_LINE));
  else process.exitCode = await execute(options, { reporter, interrupted, attended });
} catch (error) {
  reporter.close();
  if (error instanceof Foreseen) reporter.tell({ type: "error", message: error.message });
  else console.error(error);
  process.exitCode = interrupted.aborted ? EXIT.interrupted : EXIT.fatal;
} finally {
  reporter.close();
}

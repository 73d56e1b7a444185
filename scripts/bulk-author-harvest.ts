/** `npm run harvest`: the bibliographies of many authors, overnight, never one call too many and losing no progress. */
import { execute } from "./harvest/command.ts";
import { EXIT } from "./harvest/exit-codes.ts";
import { watchInterruptions } from "./harvest/interruption.ts";
import { readOptions } from "./harvest/options.ts";
import { JsonReporter } from "./harvest/report-json.ts";
import { PlainReporter } from "./harvest/report-plain.ts";
import { TerminalReporter } from "./harvest/report-terminal.ts";
import type { Reporter } from "./harvest/events.ts";
import { Foreseen } from "./start/foreseen.js";

const args = process.argv.slice(2);
const json = args.includes("--json");
const isTerminal = process.stdout.isTTY && !json;

function reporterFor(): Reporter {
  if (json) return new JsonReporter();
  return isTerminal ? new TerminalReporter() : new PlainReporter();
}

const reporter = reporterFor();
const interrupted = watchInterruptions(() => {
  reporter.tell({ type: "warning", message: "Stopping after the answer in flight. Once more ends it at once." });
});

try {
  const options = readOptions(args, process.env);
  const attended = isTerminal && process.stdin.isTTY;
  if (options) process.exitCode = await execute(options, { reporter, interrupted, attended });
} catch (error) {
  reporter.close();
  if (error instanceof Foreseen) reporter.tell({ type: "error", message: error.message });
  else console.error(error);
  process.exitCode = interrupted.aborted ? EXIT.interrupted : EXIT.fatal;
} finally {
  reporter.close();
}

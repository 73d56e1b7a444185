/** Shows warnings and errors of the runtime after the start. */
import { configurationProblems } from "./configuration.ts";
import { isWorthShowing, readLog, shortLine } from "./logs.ts";
import type { RuntimeLog } from "./logs.ts";

/** Width without a terminal. */
const DEFAULT_WIDTH = 160;

export class LogScreen {
  readonly #showAll: boolean;
  #running = false;
  /** Log lines from the start. Not shown, because a first run warns about empty storage. */
  readonly early: RuntimeLog[] = [];

  constructor(showAll: boolean) {
    this.#showAll = showAll;
  }

  /** Shows warnings and errors from now on. */
  begin(): void {
    this.#running = true;
  }

  readonly add = (log: RuntimeLog): void => {
    if (!this.#running) this.early.push(log);
    if (this.#showAll) console.log(log.message);
    else if (this.#running) this.#show(log);
  };

  #show(log: RuntimeLog): void {
    const problems = configurationProblems(log);
    if (problems.length > 0) return console.log(problems.join("\n"));
    const line = readLog(log);
    if (isWorthShowing(line)) console.log(shortLine(line, new Date(), process.stdout.columns ?? DEFAULT_WIDTH));
  }
}

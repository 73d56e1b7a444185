/** What of the runtime's logs reaches the screen: nothing but warnings and errors, and those only once everything runs. */
import { configurationProblems } from "./configuration.ts";
import { isWorthShowing, readLog, shortLine } from "./logs.ts";
import type { RuntimeLog } from "./logs.ts";

/** Where the output goes to no terminal. */
const DEFAULT_WIDTH = 160;

export class LogScreen {
  readonly #everything: boolean;
  #running = false;
  /** What was logged until everything ran: first runs warn of what is empty, which is no news to anybody. */
  readonly early: RuntimeLog[] = [];

  constructor(everything: boolean) {
    this.#everything = everything;
  }

  /** From now on warnings and errors are shown. */
  begin(): void {
    this.#running = true;
  }

  readonly add = (log: RuntimeLog): void => {
    if (!this.#running) this.early.push(log);
    if (this.#everything) console.log(log.message);
    else if (this.#running) this.#show(log);
  };

  #show(log: RuntimeLog): void {
    const problems = configurationProblems(log);
    if (problems.length > 0) return console.log(problems.join("\n"));
    const line = readLog(log);
    if (isWorthShowing(line)) console.log(shortLine(line, new Date(), process.stdout.columns ?? DEFAULT_WIDTH));
  }
}

/** Harvests from the command line, each with its own list and checkpoint. They are killed and resumed until every author is done. */
import { readFileSync } from "node:fs";
import { HarvestDesk } from "../../harvest.ts";
import type { SavedCheckpoint } from "../../harvest.ts";
import type { Command } from "../../process.ts";
import type { Random } from "../random.ts";
import type { Storm } from "../storm.ts";
import { ADMIN_TOKEN } from "../workers.ts";

const SOME_TIME_MS = 1_000;
/** Exit codes after which a later start continues. */
const EXIT = { done: 0, fatal: 1, exhausted: 2, failures: 3 } as const;
/** Most starts of one harvest after the faults have stopped. */
const MAX_STARTS = 10;

export class HarvestBook {
  readonly runs: HarvestRun[] = [];
}

export class HarvestRun {
  readonly names: readonly string[];
  readonly #desk = new HarvestDesk();
  readonly #storm: Storm;
  readonly #random: Random;
  /** Output of all processes of this harvest. */
  output = "";

  constructor(storm: Storm, random: Random, place: number, authors: number) {
    [this.#storm, this.#random] = [storm, random];
    [this.#desk.url, this.#desk.token] = [storm.product.url, ADMIN_TOKEN];
    this.names = Array.from({ length: authors }, (_, index) => `${index % 7 === 3 ? "Nobody" : "Bulk Writer"} ${place}-${index}`);
  }

  /** Starts, kills and resumes until all authors are done. It is killed only during the storm. */
  async toEnd(): Promise<void> {
    const source = `--authors=${this.#desk.list(this.names)}`;
    let options = [source];
    for (let starts = 0; starts < MAX_STARTS; starts += this.#storm.over ? 1 : 0) {
      // Some harvests wait for new calls themselves, others are started again.
      const waiting = this.#random.chance(60) ? ["--wait"] : [];
      const command = this.#desk.start(...options, "--retry-pause=0.3", ...waiting);
      const code = await this.#watched(command);
      this.output += command.output;
      this.#storm.journal.count(code === null ? "harvests killed" : `harvests ended with ${code}`);
      if (code === EXIT.done) return;
      if (code !== null && ![EXIT.fatal, EXIT.exhausted, EXIT.failures].some((known) => known === code)) throw new Error(command.output);
      if (code === EXIT.exhausted || code === EXIT.fatal) await new Promise((resolve) => setTimeout(resolve, SOME_TIME_MS));
      options = this.#begun() ? [source, code === EXIT.failures ? "--retry-failed" : "--resume"] : [source];
    }
    throw new Error(`a harvest was started ${MAX_STARTS} times after the storm and is not done:\n${this.output.slice(-2_000)}`);
  }

  get saved(): SavedCheckpoint {
    return this.#desk.saved();
  }

  clear(): void {
    this.#desk.clear();
  }

  /** The exit code. Null if it was killed. */
  async #watched(command: Command): Promise<number | null> {
    let ended = false;
    const end = command.ended.finally(() => {
      ended = true;
    });
    if (this.#random.chance(60)) {
      await this.#storm.pause(this.#random.whole(600, 5_000));
      if (!ended && !this.#storm.over) await command.stop("SIGKILL");
    }
    return end;
  }

  /** Whether the first checkpoint exists. Without it, the harvest starts from the beginning. */
  #begun(): boolean {
    try {
      readFileSync(this.#desk.checkpoint);
      return true;
    } catch {
      return false;
    }
  }
}

/** The whole product on this machine, as `npm start` runs it, in its own folders. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, freePorts } from "./process.ts";

export const START = "scripts/start.ts";

export class Coordinator {
  readonly folder = mkdtempSync(join(tmpdir(), "coordinator-"));
  readonly vars = join(this.folder, "vars");
  #command: Command | null = null;
  url = "";
  simulatorUrl = "";
  token = "";
  key = "";

  /** Another start continues with the same state, on other ports. */
  async start(...options: string[]): Promise<Command> {
    const command = await this.#launch(options).catch(async (error: unknown) => {
      // Another process may have taken a port between the check and its use.
      if (!String(error).includes(" is in use. Choose another")) throw error;
      return this.#launch(options);
    });
    const { output } = command;
    const found = (pattern: RegExp) => pattern.exec(output)?.[1] ?? "";
    this.url = found(/ {2}API {2,}(\S+)/u);
    this.simulatorUrl = found(/Simulator +(\S+)\/_simulator/u);
    this.token = found(/Admin token +(\S+)/u);
    this.key = found(/Demo API key +(\S+)/u);
    return command;
  }

  async #launch(options: readonly string[]): Promise<Command> {
    const port = await freePorts();
    const command = new Command([START, `--port=${port}`, `--state=${join(this.folder, "state")}`, `--vars=${this.vars}`, ...options]);
    this.#command = command;
    await command.printed("Use up today's calls");
    return command;
  }

  async stop(): Promise<void> {
    await this.#command?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

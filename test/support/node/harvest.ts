/** The harvest as its users run it, in its own folder. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { inject } from "vitest";
import { Command } from "./process.ts";

const BUNDLE = inject("harvestBundle");

export interface SavedCheckpoint {
  readonly settled: number;
  readonly processed: number;
  readonly failed: readonly { author: string; reason: string; next_page?: number }[];
  readonly unfinished: { author: string; books: number; pages: number; next_page?: number } | null;
  readonly totals: { authors: number; books: number; pages: number; calls: number };
}

export class HarvestDesk {
  readonly folder = mkdtempSync(join(tmpdir(), "harvest-"));
  readonly checkpoint = join(this.folder, "checkpoint.json");
  url = "";
  token = "harvest-admin-token-0123456789";

  /** Pauses are as short as possible, so that only their order matters. */
  start(...options: string[]): Command {
    const common = [`--base-url=${this.url}`, `--checkpoint=${this.checkpoint}`, "--retry-pause=0.001", "--status-interval=0.1"];
    return new Command([BUNDLE, ...common, ...options], { ADMIN_TOKEN: this.token, NODE_COMPILE_CACHE: join(dirname(BUNDLE), "compiled") });
  }

  async run(...options: string[]): Promise<{ code: number | null; output: string }> {
    const command = this.start(...options);
    return { code: await command.ended, output: command.output };
  }

  list(names: readonly string[], file = "authors.txt"): string {
    return this.write(file, `${names.join("\n")}\n`);
  }

  write(file: string, text: string): string {
    const path = join(this.folder, file);
    writeFileSync(path, text);
    return path;
  }

  saved(): SavedCheckpoint {
    return JSON.parse(readFileSync(this.checkpoint, "utf8")) as SavedCheckpoint;
  }

  clear(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Output of `--json`. */
export function eventsIn(output: string): Record<string, unknown>[] {
  return output
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Dependencies of a run, and its progress. */
import { setTimeout as delay } from "node:timers/promises";
import type { Api } from "./api.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { CheckpointFile } from "./checkpoint-file.ts";
import type { HarvestEvent } from "./events.ts";

export interface Run {
  readonly api: Api;
  readonly progress: Progress;
  readonly report: (event: HarvestEvent) => void;
  readonly interrupted: AbortSignal;
  readonly maxPages: number | null;
  /** Whether to wait for the reset when today's calls are used up. */
  readonly wait: boolean;
  readonly statusIntervalMs: number;
  readonly retryPauseMs: number;
}

/** Current checkpoint and its file. */
export class Progress {
  readonly #file: CheckpointFile;
  #checkpoint: Checkpoint;

  constructor(file: CheckpointFile, checkpoint: Checkpoint) {
    this.#file = file;
    this.#checkpoint = checkpoint;
  }

  get checkpoint(): Checkpoint {
    return this.#checkpoint;
  }

  change(change: (checkpoint: Checkpoint) => Checkpoint): void {
    this.#checkpoint = change(this.#checkpoint);
  }

  /** Throws `UserError` if the write fails. */
  save(): void {
    this.#checkpoint = { ...this.#checkpoint, updated_at: new Date().toISOString() };
    this.#file.write(this.#checkpoint);
  }
}

/** A longer timer fires immediately. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Ends early without an error when the run is interrupted. */
export async function sleep(milliseconds: number, interrupted: AbortSignal): Promise<void> {
  await delay(Math.min(milliseconds, MAX_TIMER_MS), undefined, { signal: interrupted }).catch(() => undefined);
}

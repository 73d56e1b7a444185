/** Confirmation before a checkpoint is replaced. */
import { createInterface } from "node:readline/promises";
import { UserError } from "../start/user-error.js";
import type { CheckpointFile } from "./checkpoint-file.ts";
import { describeSource } from "./source.ts";
import { formatCount } from "./words.ts";

const DECLINED = "Nothing was changed. Pass --resume to continue the run.";

/** Throws `UserError` without a confirmation. */
export async function confirmReplacing(
  file: CheckpointFile,
  { interactive, interrupted }: { interactive: boolean; interrupted: AbortSignal },
): Promise<void> {
  const { source, settled, authors } = file.read();
  const state = `${file.path} exists (${describeSource(source)}, ${formatCount(settled)} of ${formatCount(authors.count)} authors settled)`;
  if (!interactive) throw new UserError(`${state}. Pass --resume to continue it, or --force to replace it.`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  // In raw mode Ctrl-C is a key instead of a signal.
  terminal.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  try {
    const answer = await terminal.question(`${state}.\nReplace it and start again? [y/N] `, { signal: interrupted });
    if (!/^y(es)?$/iu.test(answer.trim())) throw new UserError(DECLINED);
  } catch (error) {
    if (interrupted.aborted) return;
    // Ctrl-D does not confirm.
    throw error instanceof UserError ? error : new UserError(DECLINED);
  } finally {
    terminal.close();
  }
}

/** Whether an existing checkpoint may be replaced. */
import { createInterface } from "node:readline/promises";
import { Foreseen } from "../start/foreseen.js";
import type { CheckpointFile } from "./checkpoint-file.ts";
import { described } from "./source.ts";
import { grouped } from "./words.ts";

/** Throws `Foreseen` where nobody said yes. */
export async function confirmReplacing(
  file: CheckpointFile,
  { ask, interrupted }: { ask: boolean; interrupted: AbortSignal },
): Promise<void> {
  const { source, settled, authors } = file.read();
  const state = `${file.path} holds ${described(source)}, ${grouped(settled)} of ${grouped(authors.count)} authors settled`;
  if (!ask) throw new Foreseen(`${state}; --resume goes on with it, --force starts anew over it.`);
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  // In raw mode Ctrl-C is a key, and no signal.
  terminal.on("SIGINT", () => process.kill(process.pid, "SIGINT"));
  try {
    const answer = await terminal.question(`${state}.\nStart anew and forget it? [y/N] `, { signal: interrupted });
    if (!/^y(es)?$/iu.test(answer.trim())) throw new Foreseen("Nothing was changed; --resume goes on with it.");
  } catch (error) {
    if (interrupted.aborted) return;
    // Ctrl-D is no yes.
    throw error instanceof Foreseen ? error : new Foreseen("Nothing was changed; --resume goes on with it.");
  } finally {
    terminal.close();
  }
}

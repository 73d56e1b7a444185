/** Handles Ctrl-C and SIGTERM. The first stops the run after the current response, the second immediately. */
import { onNpmEnd } from "../lib/parent.ts";
import { EXIT } from "./exit-codes.ts";

/** npm repeats a Ctrl-C that the process already received from the terminal. Both count as one. */
const SAME_KEYSTROKE_MS = 500;

export function watchInterruptions(onFirst: () => void): AbortSignal {
  const controller = new AbortController();
  let firstAt = 0;
  const interrupt = (): void => {
    if (!controller.signal.aborted) {
      firstAt = performance.now();
      controller.abort();
      onFirst();
    } else if (performance.now() - firstAt > SAME_KEYSTROKE_MS) process.exit(EXIT.interrupted);
  };
  process.on("SIGINT", interrupt);
  process.on("SIGTERM", interrupt);
  // After Ctrl-C the shell may end before the current response arrives. That does not count as a second Ctrl-C.
  onNpmEnd(() => {
    if (!controller.signal.aborted) interrupt();
  });
  // The reader of the pipe has ended.
  process.stdout.on("error", () => {
    if (!controller.signal.aborted) controller.abort();
  });
  return controller.signal;
}

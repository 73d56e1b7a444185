/** Ctrl-C and SIGTERM: the first asks the run to stop, another ends it at once. */
import { onNpmEnd } from "../lib/parent.ts";
import { EXIT } from "./exit-codes.ts";

/** npm passes Ctrl-C on to a process that has had it from the terminal already: those two are one. */
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
  // After Ctrl-C the shell may end before the answer in flight arrives: that is no second keystroke.
  onNpmEnd(() => {
    if (!controller.signal.aborted) interrupt();
  });
  // Whoever read the pipe has gone.
  process.stdout.on("error", () => {
    if (!controller.signal.aborted) controller.abort();
  });
  return controller.signal;
}

/** The end of npm, noticed: it passes a signal on to the shell between us, and some shells end without passing it on again. */
const POLL_MS = 500;

/** Calls back once when the process that started this one for npm has ended. Without npm, a command may outlive its shell. */
export function onNpmEnd(callback: () => void): void {
  if (process.env["npm_lifecycle_event"] === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    callback();
  }, POLL_MS).unref();
}

/** Detects the end of npm. npm sends a signal to its shell, and some shells end without passing it on. */
const POLL_MS = 500;

/** Calls back once when npm has ended. Without npm it does nothing, because a command may outlive its shell. */
export function onNpmEnd(callback: () => void): void {
  if (process.env["npm_lifecycle_event"] === undefined) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    callback();
  }, POLL_MS).unref();
}

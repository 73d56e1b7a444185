/** Child processes that wrangler starts: workerd and esbuild. */
import { ChildProcess } from "node:child_process";
import { subscribe } from "node:diagnostics_channel";

/**
 * Kills all children when this process ends. Otherwise esbuild may print messages after the end.
 * Calls back when workerd ends unexpectedly, such as out of memory.
 */
export function superviseChildren(onWorkerdDeath: (reason: string) => void): void {
  const running = new Set<ChildProcess>();
  subscribe("child_process", (message) => {
    if (typeof message !== "object" || message === null || !("process" in message) || !(message.process instanceof ChildProcess)) return;
    const child = message.process;
    running.add(child);
    child.once("exit", (code, signal) => {
      running.delete(child);
      if (child.spawnfile.includes("workerd") && !child.killed) onWorkerdDeath(signal ?? `code ${String(code)}`);
    });
  });
  process.on("exit", () => {
    for (const child of running) child.kill("SIGKILL");
  });
}

/** The processes that wrangler starts in our name: workerd and esbuild. */
import { ChildProcess } from "node:child_process";
import { subscribe } from "node:diagnostics_channel";

/**
 * Takes every child along when this process ends, at once: esbuild, left to notice by itself, may fill the screen with its last words.
 * Calls back when a workerd ends that nobody here has stopped: out of memory, or killed from outside.
 */
export function superviseChildren(onWorkerdDeath: (how: string) => void): void {
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

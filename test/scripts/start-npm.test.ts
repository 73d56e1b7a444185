import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { ROOT, freePorts, liveProcesses } from "../support/node/process.ts";

const STARTS_WITHIN_MS = 60_000;
const ENDS_WITHIN_MS = 10_000;

const folder = mkdtempSync(join(tmpdir(), "start-npm-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function descendantsOf(id: number): number[] {
  const all = liveProcesses();
  const below = (parent: number): number[] => all.flatMap((each) => (each.parent === parent ? [each.id, ...below(each.id)] : []));
  return below(id);
}

async function until(condition: () => boolean, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!condition() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 200));
}

it("SIGTERM to npm ends the server and all its child processes", async () => {
  const port = await freePorts();
  const options = [`--port=${port}`, `--simulator-port=${port + 1}`, `--state=${join(folder, "state")}`, `--vars=${join(folder, "vars")}`];
  const npm = spawn("npm", ["start", "--", ...options], { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [npm.stdout, npm.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (output += text));
  await until(() => output.includes("is running"), STARTS_WITHIN_MS);
  expect(output).toContain("is running");

  const started = descendantsOf(npm.pid ?? 0);
  expect(started.length).toBeGreaterThan(2);
  npm.kill("SIGTERM");
  const remaining = (): number[] => liveProcesses().flatMap(({ id }) => (started.includes(id) ? [id] : []));
  await until(() => remaining().length === 0, ENDS_WITHIN_MS);
  expect(remaining()).toEqual([]);
});

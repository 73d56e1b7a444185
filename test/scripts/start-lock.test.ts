import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { ROOT } from "../support/node/process.ts";

type Locker = ChildProcessByStdio<Writable, Readable, null>;

const ROUNDS = 6;

function start(name: string): Locker {
  return spawn(process.execPath, ["test/support/node/locker.js", name], { cwd: ROOT, stdio: ["pipe", "pipe", "inherit"] });
}

async function answerOf(locker: Locker): Promise<string> {
  const [text] = (await once(locker.stdout.setEncoding("utf8"), "data")) as [string];
  return text.trim();
}

async function end(locker: Locker, signal: NodeJS.Signals): Promise<void> {
  if (locker.exitCode !== null || locker.signalCode !== null) return;
  const ended = once(locker, "close");
  locker.kill(signal);
  await ended;
}

describe("the lock", () => {
  it("is held by one of several contenders, even after its owner was killed", async () => {
    const name = randomUUID();
    for (let round = 0; round < ROUNDS; round += 1) {
      const lockers = [start(name), start(name), start(name)];
      const answers = await Promise.all(lockers.map(answerOf));
      expect(answers.toSorted()).toEqual(["held", "refused", "refused"]);
      await Promise.all(lockers.map(async (locker) => end(locker, "SIGKILL")));
    }
  });

  it("is free after its owner releases it", async () => {
    const name = randomUUID();
    const owner = start(name);
    expect(await answerOf(owner)).toBe("held");
    const ended = once(owner, "close");
    owner.stdin.end();
    await ended;
    const next = start(name);
    expect(await answerOf(next)).toBe("held");
    await end(next, "SIGTERM");
  });
});

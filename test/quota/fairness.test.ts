/** The real ledger grants the turns that the fairness table in docs/reliability-matrix.md shows. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { createDeps } from "../../worker/src/deps.ts";
import { freshStart, ledger, settings, setClock } from "../support/worker.ts";
import { NORMAL, RATE, START, fairnessRows, keptPercent, paceOnly } from "./fairness.ts";
import { simulate } from "./pace-simulation.ts";
import type { CallerPlan, Door } from "./pace-simulation.ts";

const SHORT_MS = 12_000;

beforeEach(async () => {
  await freshStart(new Date(START).toISOString());
  await settings({ rate_per_second: RATE });
});

interface Request {
  readonly kind: "book" | "release";
  readonly caller: string;
  readonly priority: "interactive" | "background";
  readonly id: string;
  readonly now: number;
  readonly startAt: number | null;
}

/** The requests of a simulation and the pace's answers. */
function recorded(plans: readonly CallerPlan[]): Request[] {
  const requests: Request[] = [];
  const pace = paceOnly();
  const door: Door = {
    book(caller, priority, now) {
      const answer = pace.book(caller, priority, now);
      const id = "id" in answer ? answer.id : `${caller} ${requests.length}`;
      requests.push({ kind: "book", caller, priority, id, now, startAt: "id" in answer ? answer.startAt : null });
      return answer;
    },
    release(id, now) {
      pace.release(id, now);
      requests.push({ kind: "release", caller: "", priority: "interactive", id, now, startAt: null });
    },
  };
  simulate(door, plans, SHORT_MS, START);
  return requests;
}

describe("five callers that need no more than their part", () => {
  test.each(fairnessRows().map((row) => [row.hostile, row] as const))("keep over 90%% of it with %s", (_, row) => {
    expect(keptPercent(row)).toBeGreaterThan(90);
    expect(row.refused).toBe(0);
  });
});

const OTHERS: Readonly<Record<string, CallerPlan>> = {
  "one loop": { name: "project:x" },
  "64 loops": { name: "project:x", loops: 64 },
  "background loops": { name: "project:x", loops: 20, priority: "background" },
  "releases before the start": { name: "project:x", loops: 8, use: "release before", retryMs: 500 },
  "releases after the start": { name: "project:x", loops: 8, use: "release after", retryMs: 500 },
};

test.each(Object.entries(OTHERS))("the ledger answers like the simulated pace with %s", async (_, plan) => {
  const requests = recorded([plan, ...NORMAL]);
  const { quota } = createDeps(env, () => Date.now());
  const answers: (number | null)[] = [];
  for (const { kind, caller, priority, id, now } of requests) {
    vi.setSystemTime(now);
    if (kind === "release") await ledger().release(id);
    else {
      const answer = await quota.reserve({ id, cost: { calls: 1 }, caller, priority, shareMode: "unlimited" });
      answers.push(answer.result === "granted" ? answer.reservation.startAt : null);
    }
  }
  expect(answers).toEqual(requests.flatMap(({ kind, startAt }) => (kind === "book" ? [startAt === null ? null : Math.ceil(startAt)] : [])));
  expect(answers.filter((answer) => answer !== null).length).toBeGreaterThan(20);
});

test("a project that reserves all that it may takes no calls or turns from five others", async () => {
  const { quota } = createDeps(env, () => Date.now());
  const reserve = async (caller: string, calls: number) =>
    quota.reserve({ id: crypto.randomUUID(), cost: { calls }, minCalls: 1, caller, priority: "interactive", shareMode: "default" });
  const results: string[] = [];
  for (let step = 0; step < 24; step += 1) {
    await setClock(new Date(START + step * 2_500).toISOString());
    for (let index = 0; index < 6; index += 1) await reserve("project:x", 1_300);
    for (const { name } of NORMAL) results.push((await reserve(name, 1)).result);
  }
  expect(results.filter((result) => result !== "granted")).toEqual([]);
});

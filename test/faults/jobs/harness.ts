/**
 * The fault matrix of jobs: as harness/index.ts, and besides
 * - a use begins a job (a tick, a request) and lasts until every job that it began has ended; the pauses of their retries and their sleeps
 *   take their time on the clock, at once;
 * - each step of a job is a place, too (`workflows`, `step <name>`): the Worker dies before its work, after it, or once;
 * - `later` is what repairs: the next tick, housekeeping, or the same asked for again;
 * - in the end nothing may be lost: no job without an end, no event that was not handed on, no delivery that nobody is at.
 */
import { createExecutionContext, createScheduledController, introspectWorkflow, waitOnExecutionContext } from "cloudflare:test";
import type { WorkflowIntrospector } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import worker from "../../../worker/src/index.ts";
import { JOBS } from "../../../worker/src/jobs/catalog.ts";
import type { JobType } from "../../../worker/src/jobs/catalog.ts";
import type { JobRow } from "../../../worker/src/store/jobs/jobs.ts";
import { ADMIN_TOKEN, freshStart, quotaStatus, setClock, simulator, withTheirJobs } from "../../support/worker.ts";
import type { Fault, FlowTable, Row, Target, TargetCells } from "../matrix.ts";
import { faultsAt, inEveryRun } from "./every-run.ts";
import { trapD1, trapKv, trapLedger } from "../harness/bindings.ts";
import type { Reply } from "../harness/index.ts";
import { trapR2, trapTenants, trapWorkflows } from "./parts.ts";
import { leftOver, rowsOf } from "./raw.ts";
import { JobTraps, STEP_TIMEOUT_MS, trapSteps } from "./steps.ts";
import { JobTime, turn } from "./time.ts";
import { trapOutbound } from "../harness/outbound.ts";
import type { Others } from "../harness/outbound.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;
const FIRST_DAY = Date.parse("2031-05-14T01:00:00Z");
const DAYS_OF_A_CELL = 4;
const HOOK_TIMEOUT_MS = 60_000;
const A_MINUTE_LATER_MS = 61_000;
const HOLDS_ENDED_MS = 121_000;
/** In place of 5 minutes, where a part never answers and nobody but the step's time-out ends that. */
const SHORT_STEP_MINUTES = 0.6 / 60;

export interface JobWorld {
  readonly time: JobTime;
  /** A tick of a cron at this time of its day; true where it was acknowledged. */
  readonly tick: (cron: string) => Promise<boolean>;
  readonly ask: (method: string, path: string, body?: unknown, token?: string) => Promise<Reply>;
  /** Waits until every job that was begun has ended. */
  readonly settled: () => Promise<void>;
  /** What says that something is left to be done, by table; empty where nothing is. */
  readonly left: () => Promise<string[]>;
  /** Lets time pass, and housekeeping run; with retention, as once an hour. */
  readonly housekeeping: (minutes?: number, retention?: boolean) => Promise<void>;
  /** Jobs of a type, the oldest first, since the cell began. */
  readonly jobs: (type: JobType) => Promise<JobRow[]>;
}

export interface JobFlow {
  readonly table: FlowTable;
  readonly prepare?: () => Promise<void>;
  readonly arrange?: (n: number, world: JobWorld) => Promise<void>;
  /** Begins the job, waits for its end, and says in the table's words what it came to. */
  readonly use: (n: number, world: JobWorld) => Promise<string>;
  readonly later: (n: number, world: JobWorld) => Promise<string>;
  readonly check?: (n: number, world: JobWorld, cell: { readonly target: Target; readonly fault: Fault } | null) => Promise<void>;
  readonly others?: Others;
  /** It may spend calls of the provider: they are counted. */
  readonly spends?: boolean;
  /** Operations that another table speaks of. */
  readonly elsewhere?: readonly string[];
}

interface Count {
  readonly used: number;
  readonly reserved: number;
  readonly spent: number;
}

const NOTHING: Count = { used: 0, reserved: 0, spent: 0 };

async function counted(): Promise<Count> {
  const [{ used, reserved, callers }, { spent }] = [await quotaStatus(), await simulator.state()];
  expect({ sum: callers.reduce((sum, each) => sum + each.used, 0) }).toEqual({ sum: used });
  return { used, reserved, spent };
}

/** Housekeeping, where it has something to do: what that was. */
export async function repaired({ left, housekeeping }: JobWorld, minutes?: number): Promise<string> {
  const before = await left();
  if (before.length === 0) return "";
  await housekeeping(
    minutes,
    before.some((each) => /^(?:backups|scratches|restores)/u.test(each)),
  );
  return `; housekeeping ends ${[...new Set(before.map((each) => each.replace(/:.*/u, "")))].join(", ")}`;
}

/** What every job does, and the table of a job by itself speaks of. */
const OF_EVERY_JOB = [
  "INTO jobs (id,",
  "UPDATE jobs SET",
  "SELECT * FROM jobs WHERE id",
  "INTO job_attempts",
  "e.dispatched_at IS NULL",
  "d.enqueued_at IS NULL AND d.due_at",
  "operators_told_at IS NULL",
  "workflows: create",
  "collector: ",
  "UPDATE events SET dispatched_at = ?2 WHERE",
];

const LEVELS = ["log", "warn", "error"] as const;
type Level = (typeof LEVELS)[number];

/** The tests of one flow. */
export function jobMatrix(flow: JobFlow): void {
  describe(`${flow.table.title}:`, () => {
    cellsOf(flow);
  });
}

function cellsOf(flow: JobFlow): void {
  const { table } = flow;
  const time = new JobTime();
  const traps = new JobTraps(time);
  const instances = new Set<string>();
  const getInstance = env.JOBS.get.bind(env.JOBS);
  /** Thousands of lines, which are worth sending only where a cell fails. */
  const logged: [Level, string][] = [];
  const show = { log: console.log, warn: console.warn, error: console.error };
  let workflows: WorkflowIntrospector;
  let n = 0;

  const count = async (): Promise<Count> => (flow.spends === true ? counted() : NOTHING);
  const hasEnded = async (id: string): Promise<boolean> =>
    ["complete", "errored", "terminated"].includes((await (await getInstance(id)).status()).status);
  const settled = async (): Promise<void> => {
    for (const id of instances) {
      while (!(await hasEnded(id))) await turn(2);
      instances.delete(id);
    }
  };
  const tick = async (cron: string): Promise<boolean> => {
    const scheduledTime = Math.floor(Date.now() / 60_000) * 60_000;
    const context = createExecutionContext();
    const done = await worker.scheduled(createScheduledController({ cron, scheduledTime }), env).then(
      () => true,
      () => false,
    );
    await waitOnExecutionContext(context);
    await settled();
    return done;
  };
  const world: JobWorld = {
    time,
    tick,
    settled,
    left: leftOver,
    ask: async (method, path, body, token = ADMIN_TOKEN) => {
      const context = createExecutionContext();
      const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "content-type": "application/json" }) };
      const init = { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
      const response = await worker.fetch(new Request(`http://coordinator.test${path}`, init), env, context);
      const text = await response.text();
      await waitOnExecutionContext(context);
      return { status: response.status, headers: response.headers, text, body: JSON.parse(text || "{}") as Record<string, unknown> };
    },
    housekeeping: async (minutes = 2, retention = false) => {
      time.reach(Date.now() + minutes * 60_000);
      await world.ask("POST", "/api/jobs", { type: "housekeeping", payload: { retention } });
      await settled();
    },
    jobs: async (type) => rowsOf<JobRow>("SELECT * FROM jobs WHERE type = ? AND created_at >= ? ORDER BY created_at, id", type, begun()),
  };
  /** Each cell has days of its own. */
  const begun = (): number => FIRST_DAY + n * DAYS_OF_A_CELL * DAY_MS;

  /** Runs to the end, time passing where something hangs. */
  const driven = async (work: () => Promise<string>): Promise<{ readonly told: string; readonly seconds: number }> => {
    const began = Date.now();
    let end: { readonly told: string } | { readonly error: unknown } | null = null;
    void work().then(
      (told) => (end = { told }),
      (error: unknown) => (end = { error }),
    );
    const reached = (): typeof end => end;
    await time.until(async () => reached() !== null);
    time.forget();
    const at = reached();
    if (at === null || "error" in at) throw at?.error;
    return { told: at.told, seconds: (Date.now() - began) / 1_000 };
  };

  async function observe(target: Target, fault: Fault): Promise<Row> {
    const before = await count();
    const waitsForTimeout = fault === "hangs" && target.part === "r2";
    if (waitsForTimeout) for (const kind of Object.values(JOBS)) Reflect.set(kind, "timeoutMinutes", SHORT_STEP_MINUTES);
    traps.fault = fault;
    traps.arm(target, fault);
    const { told, seconds } = await driven(async () => flow.use(n, world));
    const { tries } = traps;
    if (fault === "minute") time.reach(Date.now() + A_MINUTE_LATER_MS);
    else traps.heal();
    if (waitsForTimeout) for (const kind of Object.values(JOBS)) Reflect.set(kind, "timeoutMinutes", STEP_TIMEOUT_MS / 60_000);
    const after = await count();
    time.reach(Date.now() + 1_000);
    const then = await driven(async () => flow.later(n, world));
    traps.heal();
    traps.fault = null;
    time.reach(Date.now() + HOLDS_ENDED_MS);
    const end = await count();
    expect(await leftOver(), "nothing is lost").toEqual([]);
    await flow.check?.(n, world, { target, fault });

    const [sent, charged, held] = [after.spent - before.spent, after.used - before.used, after.reserved - before.reserved];
    expect(end.reserved, "nothing is reserved for ever").toBe(0);
    expect(end.spent - before.spent, "never more than what is charged").toBeLessThanOrEqual(end.used - before.used);
    return [fault, told, seconds, tries, sent, charged, held, then.told, end.used - after.used - held];
  }

  beforeAll(async () => {
    await freshStart();
    withTheirJobs();
    workflows = await introspectWorkflow(env.JOBS);
    await workflows.modifyAll(async (instance) => {
      await instance.disableSleeps();
      await instance.disableRetryDelays();
    });
    await simulator.control("PUT", "/settings", { unknown_percent: 0 });
    await flow.prepare?.();
    trapLedger(traps);
    trapKv(traps);
    trapD1(traps);
    trapR2(traps);
    trapTenants(traps);
    trapWorkflows(traps, (id) => instances.add(id));
    trapOutbound(traps, flow.others);
    trapSteps(time, traps);
    for (const level of LEVELS) vi.spyOn(console, level).mockImplementation((line: string) => void logged.push([level, line]));
    vi.spyOn(Math, "random").mockReturnValue(0);
    time.install();
  }, HOOK_TIMEOUT_MS);
  afterAll(async () => {
    vi.restoreAllMocks();
    await workflows.dispose();
  });
  beforeEach(async () => {
    n += 1;
    await setClock(new Date(begun()).toISOString());
    await driven(async () => {
      await flow.arrange?.(n, world);
      return "";
    });
  }, HOOK_TIMEOUT_MS);
  afterEach(({ task }) => {
    if (task.result?.state === "fail") for (const [level, line] of logged) show[level](line);
    logged.length = 0;
    traps.heal();
    traps.fault = null;
    instances.clear();
  });

  test("without a fault", async () => {
    traps.takeMet();
    const before = await count();
    const { told } = await driven(async () => flow.use(n, world));
    const met = traps.takeMet();
    const after = await count();
    await driven(async () => flow.later(n, world));
    expect(await leftOver(), "nothing is lost").toEqual([]);
    await flow.check?.(n, world, null);
    expect({ told, charged: after.used - before.used }).toEqual({ told: table.clean, charged: table.cleanCharged });
    const known = [
      ...table.targets,
      ...(table.elsewhere ?? []),
      ...[...(table.name === "job" ? [] : OF_EVERY_JOB), ...(flow.elsewhere ?? [])].map((at) => ({ part: "", at })),
    ];
    const isNamed = (operation: string): boolean =>
      known.some(({ part, at }) => operation.startsWith(part) && at.split("|").some((words) => operation.includes(words)));
    expect(met.filter((operation) => !isNamed(operation)).join("\n"), "every place is named").toBe("");
    const unmet = table.targets.filter(
      ({ part, at }) => !met.some((operation) => operation.startsWith(`${part}: `) && operation.includes(at)),
    );
    expect(unmet, "every named place is met").toEqual([]);
  });

  const faultsOf = (target: TargetCells): readonly Fault[] =>
    env.TEST_SOAK === "true" || target.cells.length === 0 ? faultsAt(target) : inEveryRun(table, target);

  describe.each(table.targets.filter((target) => faultsOf(target).length > 0))("$part, $words:", (target) => {
    test.each(faultsOf(target))("%s", async (fault) => {
      const observed = await observe(target, fault);
      const promised = target.cells.find(([of]) => of === fault);
      expect(observed, `ROW ${table.name} ${target.part} ${target.at} ${JSON.stringify(observed)}`).toEqual(promised);
    });
  });
}

/**
 * The fault matrix of jobs. It works like harness/index.ts, with these additions:
 * - A use starts a job by a tick or a request and waits until every job that it started has ended. Pauses and sleeps move the clock.
 * - Each step of a job is an operation (`workflows`, `step <name>`): the Worker stops before the work, after it, or once after it.
 * - `later` repairs: the next tick, housekeeping, or the same request again.
 * - In the end nothing may be unfinished: no running job, no undispatched event, no pending delivery.
 */
import { createExecutionContext, createScheduledController, introspectWorkflow, waitOnExecutionContext } from "cloudflare:test";
import type { WorkflowIntrospector } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import worker from "../../../worker/src/index.ts";
import { JOBS } from "../../../worker/src/jobs/catalog.ts";
import type { JobType } from "../../../worker/src/jobs/catalog.ts";
import type { JobRow } from "../../../worker/src/store/jobs/jobs.ts";
import { ADMIN_TOKEN, freshLedger, quotaStatus, setClock, simulator, withTheirJobs } from "../../support/worker.ts";
import type { Fault, FlowTable, Row, Target, TargetCells } from "../matrix.ts";
import { faultsAt, inEveryRun } from "./every-run.ts";
import { wrapD1, wrapKv, wrapLedger } from "../harness/bindings.ts";
import type { Reply } from "../harness/index.ts";
import { wrapR2, wrapTenants, wrapWorkflows } from "./parts.ts";
import { listUnfinished, rowsOf } from "./rows.ts";
import { JobFaultInjector, STEP_TIMEOUT_MS, wrapSteps } from "./steps.ts";
import { JobTime, turn } from "./time.ts";
import { wrapOutbound } from "../harness/outbound.ts";
import type { OtherHosts } from "../harness/outbound.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;
const FIRST_DAY = Date.parse("2031-05-14T01:00:00Z");
const DAYS_OF_A_CELL = 4;
const HOOK_TIMEOUT_MS = 60_000;
const A_MINUTE_LATER_MS = 61_000;
const EXPIRED_MS = 121_000;
/** Replaces the time-out of 5 minutes if only the step's time-out ends a call that hangs. */
const SHORT_STEP_MINUTES = 0.6 / 60;

export interface JobWorld {
  readonly time: JobTime;
  /** Runs a cron tick now. True if it was acknowledged. */
  readonly tick: (cron: string) => Promise<boolean>;
  readonly send: (method: string, path: string, body?: unknown, token?: string) => Promise<Reply>;
  /** Waits until every started job has ended. */
  readonly settled: () => Promise<void>;
  /** Unfinished work as "table: type". Empty if nothing is left to do. */
  readonly unfinished: () => Promise<string[]>;
  /** Lets time pass and runs housekeeping, with retention on request. */
  readonly housekeeping: (minutes?: number, retention?: boolean) => Promise<void>;
  /** Jobs of a type since the start of the cell, oldest first. */
  readonly jobs: (type: JobType) => Promise<JobRow[]>;
}

export interface JobFlow {
  readonly table: FlowTable;
  readonly prepare?: () => Promise<void>;
  readonly arrange?: (n: number, world: JobWorld) => Promise<void>;
  /** Starts the job and waits for its end. Returns the result as the table describes it. */
  readonly use: (n: number, world: JobWorld) => Promise<string>;
  readonly later: (n: number, world: JobWorld) => Promise<string>;
  readonly check?: (n: number, world: JobWorld, cell: { readonly target: Target; readonly fault: Fault } | null) => Promise<void>;
  readonly otherHosts?: OtherHosts;
  /** True if the flow may spend the provider's calls. They are counted then. */
  readonly spends?: boolean;
  /** Operations whose faults another flow's table shows. */
  readonly covered?: readonly string[];
}

interface Count {
  readonly used: number;
  readonly reserved: number;
  readonly spent: number;
}

const NOTHING: Count = { used: 0, reserved: 0, spent: 0 };

async function readCount(): Promise<Count> {
  const [{ used, reserved, callers }, { spent }] = [await quotaStatus(), await simulator.state()];
  expect({ sum: callers.reduce((sum, each) => sum + each.used, 0) }).toEqual({ sum: used });
  return { used, reserved, spent };
}

/** Runs housekeeping if something is unfinished. Returns the tables concerned, in parentheses. */
export async function repair({ unfinished, housekeeping }: JobWorld, minutes?: number): Promise<string> {
  const before = await unfinished();
  if (before.length === 0) return "";
  await housekeeping(
    minutes,
    before.some((each) => /^(?:backups|scratches|restores)/u.test(each)),
  );
  return ` (housekeeping: ${[...new Set(before.map((each) => each.replace(/:.*/u, "")))].join(", ")})`;
}

/** Operations that every job uses. The tables of single jobs omit them, because the table of the flow that starts a job has them. */
const SHARED_OPERATIONS = [
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
  const injector = new JobFaultInjector(time);
  const instances = new Set<string>();
  const getInstance = env.JOBS.get.bind(env.JOBS);
  /** Thousands of lines, printed only if a cell fails. */
  const logged: [Level, string][] = [];
  const show = { log: console.log, warn: console.warn, error: console.error };
  let workflows: WorkflowIntrospector;
  let n = 0;

  const count = async (): Promise<Count> => (flow.spends === true ? readCount() : NOTHING);
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
    unfinished: listUnfinished,
    send: async (method, path, body, token = ADMIN_TOKEN) => {
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
      await world.send("POST", "/api/jobs", { type: "housekeeping", payload: { retention } });
      await settled();
    },
    jobs: async (type) =>
      rowsOf<JobRow>("SELECT * FROM jobs WHERE type = ? AND created_at >= ? ORDER BY created_at, id", type, startOfCell()),
  };
  /** Each cell has its own days. */
  const startOfCell = (): number => FIRST_DAY + n * DAYS_OF_A_CELL * DAY_MS;

  /** Runs to the end. Time passes while something hangs. */
  const drive = async (work: () => Promise<string>): Promise<{ readonly result: string; readonly seconds: number }> => {
    const began = Date.now();
    let end: { readonly result: string } | { readonly error: unknown } | null = null;
    void work().then(
      (result) => (end = { result }),
      (error: unknown) => (end = { error }),
    );
    const reached = (): typeof end => end;
    await time.until(async () => reached() !== null);
    time.clear();
    const at = reached();
    if (at === null || "error" in at) throw at?.error;
    return { result: at.result, seconds: (Date.now() - began) / 1_000 };
  };

  async function observe(target: Target, fault: Fault): Promise<Row> {
    const before = await count();
    const waitsForTimeout = fault === "hangs" && target.part === "r2";
    if (waitsForTimeout) for (const kind of Object.values(JOBS)) Reflect.set(kind, "timeoutMinutes", SHORT_STEP_MINUTES);
    injector.fault = fault;
    injector.start(target, fault);
    const { result, seconds } = await drive(async () => flow.use(n, world));
    const { attempts } = injector;
    if (fault === "minute") time.reach(Date.now() + A_MINUTE_LATER_MS);
    else injector.stop();
    if (waitsForTimeout) for (const kind of Object.values(JOBS)) Reflect.set(kind, "timeoutMinutes", STEP_TIMEOUT_MS / 60_000);
    const after = await count();
    time.reach(Date.now() + 1_000);
    const then = await drive(async () => flow.later(n, world));
    injector.stop();
    injector.fault = null;
    time.reach(Date.now() + EXPIRED_MS);
    const end = await count();
    expect(await listUnfinished(), "nothing is lost").toEqual([]);
    await flow.check?.(n, world, { target, fault });

    const [sent, charged, reserved] = [after.spent - before.spent, after.used - before.used, after.reserved - before.reserved];
    expect(end.reserved, "nothing stays reserved").toBe(0);
    expect(end.spent - before.spent, "sent calls are charged").toBeLessThanOrEqual(end.used - before.used);
    return [fault, result, seconds, attempts, sent, charged, reserved, then.result, end.used - after.used - reserved];
  }

  beforeAll(async () => {
    await freshLedger();
    withTheirJobs();
    workflows = await introspectWorkflow(env.JOBS);
    await workflows.modifyAll(async (instance) => {
      await instance.disableSleeps();
      await instance.disableRetryDelays();
    });
    await simulator.control("PUT", "/settings", { unknown_percent: 0 });
    await flow.prepare?.();
    wrapLedger(injector);
    wrapKv(injector);
    wrapD1(injector);
    wrapR2(injector);
    wrapTenants(injector);
    wrapWorkflows(injector, (id) => instances.add(id));
    wrapOutbound(injector, flow.otherHosts);
    wrapSteps(time, injector);
    for (const level of LEVELS) vi.spyOn(console, level).mockImplementation((line: string) => void logged.push([level, line]));
    time.install();
  }, HOOK_TIMEOUT_MS);
  afterAll(async () => {
    vi.restoreAllMocks();
    await workflows.dispose();
  }, HOOK_TIMEOUT_MS);
  beforeEach(async () => {
    n += 1;
    await setClock(new Date(startOfCell()).toISOString());
    await drive(async () => {
      await flow.arrange?.(n, world);
      return "";
    });
  }, HOOK_TIMEOUT_MS);
  afterEach(({ task }) => {
    if (task.result?.state === "fail") for (const [level, line] of logged) show[level](line);
    logged.length = 0;
    injector.stop();
    injector.fault = null;
    instances.clear();
  });

  test("without a fault", async () => {
    injector.takeSeen();
    const before = await count();
    const { result } = await drive(async () => flow.use(n, world));
    const seen = injector.takeSeen();
    const after = await count();
    await drive(async () => flow.later(n, world));
    expect(await listUnfinished(), "nothing is lost").toEqual([]);
    await flow.check?.(n, world, null);
    expect({ result, charged: after.used - before.used }).toEqual({ result: table.clean, charged: table.cleanCharged });
    const known = [
      ...table.targets,
      ...(table.covered ?? []),
      ...[...(table.name === "job" ? [] : SHARED_OPERATIONS), ...(flow.covered ?? [])].map((at) => ({ part: "", at })),
    ];
    const isListed = (operation: string): boolean =>
      known.some(({ part, at }) => operation.startsWith(part) && at.split("|").some((text) => operation.includes(text)));
    expect(seen.filter((operation) => !isListed(operation)).join("\n"), "the table lists every operation").toBe("");
    const unseen = table.targets.filter(
      ({ part, at }) => !seen.some((operation) => operation.startsWith(`${part}: `) && operation.includes(at)),
    );
    expect(unseen, "every listed operation is used").toEqual([]);
  });

  const faultsOf = (target: TargetCells): readonly Fault[] =>
    env.TEST_SOAK === "true" || target.cells.length === 0 ? faultsAt(target) : inEveryRun(table, target);

  describe.each(table.targets.filter((target) => faultsOf(target).length > 0))("$part, $operation:", (target) => {
    test.each(faultsOf(target))("%s", async (fault) => {
      const observed = await observe(target, fault);
      const expected = target.cells.find(([of]) => of === fault);
      expect(observed, `ROW ${table.name} ${target.part} ${target.at} ${JSON.stringify(observed)}`).toEqual(expected);
    });
  });
}

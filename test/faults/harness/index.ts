/**
 * The fault matrix of requests: each part fails in each way while a flow uses it, in workerd, through the public API.
 *
 * To add a flow:
 * 1. Write its table in `cells/<flow>.ts`: plain data that imports only `../matrix.ts`. List its targets with empty cells. `skips` lets the
 *    first operations of a target succeed. `covered` names operations that another flow's table shows. Add the table to `cells/index.ts`.
 * 2. Call `faultMatrix({ table, use })` in `<flow>.test.ts`. `use` runs the flow once and describes the caller's result. `n` differs from cell
 *    to cell, so that the catalog never knows the book. Send requests with `world.send`. Read the stores with `stores.ts`.
 * 3. Run it. Each cell fails with the observed row. Fix the product if the row is wrong, then copy the row into the table. A test without a
 *    fault fails too if the table does not list an operation.
 * 4. `npm run reliability` writes the page.
 *
 * Every cell also checks:
 * - calls that the provider counted ≤ calls charged or reserved
 * - the callers' sum equals the used calls
 * - after expiry nothing is reserved, and exactly the reserved calls were charged
 * - the same use works again
 */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import worker from "../../../worker/src/index.ts";
import { ADMIN_TOKEN, freshLedger, simulator } from "../../support/worker.ts";
import { ALL_FAULTS } from "../matrix.ts";
import type { Fault, FlowTable, Place, Row, Target } from "../matrix.ts";
import { wrapD1, wrapKv, wrapLedger } from "./bindings.ts";
import { COLLECTOR_URL, wrapOutbound } from "./outbound.ts";
import type { OtherHosts } from "./outbound.ts";
import { NEVER, PassingTime } from "./time.ts";
import { FaultInjector, isAt } from "./injector.ts";
import { today } from "./stores.ts";

/** Early in the day, because each cell takes a few minutes. */
const MORNING = "2031-05-14T01:00:00Z";
/** More than the longest lifetime of a request's reservation. */
const EXPIRED_MS = 121_000;
const A_MINUTE_LATER_MS = 61_000;

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Record<string, unknown>;
}

interface RequestOptions {
  /** The admin token if absent. Null: no credentials. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface World {
  /** Bindings for entry points other than `send`. */
  readonly bindings: Env;
  readonly time: PassingTime;
  readonly injector: FaultInjector;
  /** Sends one request to the Worker, traced, and waits for its background work. */
  readonly send: (method: string, path: string, body?: unknown, options?: RequestOptions) => Promise<Reply>;
}

export interface Flow {
  readonly table: FlowTable;
  /** Runs once for all cells, after the stores were emptied. */
  readonly prepare?: () => Promise<void>;
  /** Prepares one cell, before the fault. */
  readonly arrange?: (n: number) => Promise<void>;
  /** Runs the flow once. Returns the caller's result as the table describes it. */
  readonly use: (n: number, world: World) => Promise<string>;
  /** Runs between the first count and the fault. */
  readonly disturb?: (n: number) => Promise<void>;
  /** A place that fails during every use, even in the use without a fault. */
  readonly unavailable?: Place;
  /** Injects faults into further parts. */
  readonly wrap?: (injector: FaultInjector) => void;
  /** Describes a use in which the Worker stopped. */
  readonly whenStopped?: () => Promise<string>;
  /** Further checks at the end of a cell. */
  readonly check?: (n: number, world: World, cell: { readonly target: Target; readonly fault: Fault }) => Promise<void>;
  /** Hosts other than the provider's and the collector's, with their answers. */
  readonly otherHosts?: OtherHosts;
}

/** Traces are on, so that the collector is a part too. */
const traced = { ...env, OTEL_ENABLED: "true", OTEL_ENDPOINT: COLLECTOR_URL } as unknown as Env;

function senderOf(time: PassingTime, bindings: Env): World["send"] {
  return async (method, path, body, { token = ADMIN_TOKEN, headers = {} } = {}) => {
    const context = createExecutionContext();
    const init = {
      method,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    };
    const response = await worker.fetch(new Request(new URL(path, "http://coordinator.test"), init), bindings, context);
    time.answered();
    const text = await response.text();
    await waitOnExecutionContext(context);
    const isJson = text !== "" && /json/u.test(response.headers.get("content-type") ?? "");
    const read = isJson ? (JSON.parse(text) as Record<string, unknown>) : {};
    return { status: response.status, headers: response.headers, text, body: read };
  };
}

interface Count {
  /** Charged today, untracked calls included. */
  readonly used: number;
  readonly reserved: number;
  /** Counted by the provider. */
  readonly spent: number;
}

/** Reads the counts and checks the callers' sum. */
async function count(): Promise<Count> {
  const [{ used, reserved, callers }, { spent }] = [await today(), await simulator.state()];
  expect({ sum: callers.reduce((sum, each) => sum + each.used, 0) }).toEqual({ sum: used });
  return { used, reserved, spent };
}

const pass = (ms: number): void => void vi.setSystemTime(Date.now() + ms);

/** Uses the flow once, background work included. `seconds` is the time until the answer. */
async function useOnce(flow: Flow, n: number, world: World): Promise<{ readonly result: string; readonly seconds: number }> {
  world.injector.disable(flow.unavailable ?? null);
  const { result, seconds } = await world.time.run(async () => flow.use(n, world));
  world.injector.disable(null);
  return { result: result === NEVER ? ((await flow.whenStopped?.()) ?? "no answer") : result, seconds };
}

async function observe(flow: Flow, n: number, world: World, cell: { readonly target: Target; readonly fault: Fault }): Promise<Row> {
  const { injector } = world;
  const before = await count();
  await flow.disturb?.(n);
  injector.start(cell.target, cell.fault);
  const { result, seconds } = await useOnce(flow, n, world);
  const { attempts } = injector;
  // A fault that lasts a minute ends after the minute.
  if (cell.fault === "minute") pass(A_MINUTE_LATER_MS);
  else injector.stop();
  const after = await count();
  const again = await useOnce(flow, n, world);
  injector.stop();
  pass(EXPIRED_MS);
  const end = await count();

  const [sent, charged, reserved] = [after.spent - before.spent, after.used - before.used, after.reserved - before.reserved];
  // By this time, reserved calls have been charged.
  const againCharged = end.used - after.used - after.reserved;
  expect(end.reserved, "nothing stays reserved").toBe(0);
  // The charge may be negative: some flows lower the count. They send nothing.
  expect(sent, "sent calls are charged or reserved").toBeLessThanOrEqual(Math.max(0, charged + reserved));
  expect(end.spent - before.spent, "sent calls are charged in the end").toBeLessThanOrEqual(Math.max(0, end.used - before.used));
  await flow.check?.(n, world, cell);
  return [cell.fault, result, seconds, attempts, sent, charged, reserved, again.result, againCharged];
}

const nameOf = ({ part, at, skips }: Target): string => `${part} ${at}${skips === undefined ? "" : ` +${skips}`}`;

const LEVELS = ["log", "warn", "error"] as const;
type Level = (typeof LEVELS)[number];

/** The tests of one flow. */
export function faultMatrix(flow: Flow): void {
  describe(`${flow.table.title}:`, () => {
    cellsOf(flow);
  });
}

function cellsOf(flow: Flow): void {
  const { table } = flow;
  const time = new PassingTime();
  const injector = new FaultInjector(time);
  const bindings = table.traced === false ? env : traced;
  const world: World = { bindings, time, injector, send: senderOf(time, bindings) };
  /** Thousands of lines, printed only if a cell fails. */
  const logged: [Level, string][] = [];
  const show = { log: console.log, warn: console.warn, error: console.error };
  let n = 0;

  beforeEach(async () => {
    n += 1;
    await flow.arrange?.(n);
  });
  beforeAll(async () => {
    await freshLedger(MORNING);
    // The provider knows every book.
    await simulator.control("PUT", "/settings", { unknown_percent: 0 });
    await flow.prepare?.();
    wrapLedger(injector);
    wrapKv(injector);
    wrapD1(injector);
    wrapOutbound(injector, flow.otherHosts);
    flow.wrap?.(injector);
    for (const level of LEVELS) vi.spyOn(console, level).mockImplementation((line: string) => void logged.push([level, line]));
    time.install();
  });
  afterEach(({ task }) => {
    if (task.result?.state === "fail") for (const [level, line] of logged) show[level](line);
    logged.length = 0;
  });
  afterAll(() => {
    vi.restoreAllMocks();
  });

  test("without a fault", async () => {
    const before = await count();
    await flow.disturb?.(n);
    injector.takeSeen();
    const { result, seconds } = await useOnce(flow, n, world);
    const seen = injector.takeSeen();
    const after = await count();
    const charged = after.used - before.used;
    expect({ result, seconds, charged }).toEqual({ result: table.clean, seconds: 0, charged: table.cleanCharged });
    const isSeen = (place: Place, operation: string): boolean => operation.startsWith(`${place.part}: `) && isAt(place, operation);
    const listed: readonly Place[] = [...table.targets, ...(table.covered ?? []), ...(flow.unavailable ? [flow.unavailable] : [])];
    const unlisted = seen.filter((operation) => !listed.some((place) => isSeen(place, operation)));
    expect(unlisted, "the table lists every operation").toEqual([]);
    const unseen = listed.filter((place) => !seen.some((operation) => isSeen(place, operation)));
    expect(unseen, "every listed operation is used").toEqual([]);
  });

  describe.each(table.targets)("$part, $operation:", (target) => {
    test.each(target.faults ?? ALL_FAULTS)("%s", async (fault) => {
      const observed = await observe(flow, n, world, { target, fault });
      const expected = target.cells.find(([of]) => of === fault);
      expect(observed, `ROW ${table.name}: ${nameOf(target)} ${JSON.stringify(observed)}`).toEqual(expected);
    });
  });
}

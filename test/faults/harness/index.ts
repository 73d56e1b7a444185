/**
 * The fault matrix, cell by cell: each part of the system spoiled in each way while a flow uses it, in workerd, through the public door.
 *
 * To add a flow:
 * 1. `cells/<flow>.ts`: its table, plain data without imports but `../matrix.ts`. Name its targets (where it meets which part), and leave
 *    the cells empty. `spares` lets the first operations of a target go well; `elsewhere` names places at which it behaves like another
 *    flow. Add the table to `cells/index.ts`.
 * 2. `<flow>.test.ts`: `faultMatrix({ table, use })`. `use` does the flow once and puts into words what whoever asked is told; `n` differs from
 *    cell to cell, so that nothing is known to the catalogue. It asks through `world.ask` (or ticks a cron, or waits for a job), and looks at
 *    the stores through `untrapped.ts`.
 * 3. Run it. Each cell fails with the row that was observed: think about whether it is right, mend the product where it isn't, and write the
 *    row down. A place that a use without a fault meets and nothing names fails too.
 * 4. `npm run reliability` writes the page.
 *
 * What is checked besides, in every cell: calls that the provider counted ≤ calls charged or held; the callers' sum is what is used; once
 * the holds have ended nothing is reserved, and exactly what was held is charged on top; the same use works again.
 */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import worker from "../../../worker/src/index.ts";
import { ADMIN_TOKEN, freshStart, simulator } from "../../support/worker.ts";
import { ALL_FAULTS } from "../matrix.ts";
import type { Fault, FlowTable, Place, Row, Target } from "../matrix.ts";
import { trapD1, trapKv, trapLedger } from "./bindings.ts";
import { COLLECTOR_URL, trapOutbound } from "./outbound.ts";
import type { Others } from "./outbound.ts";
import { NEVER, PassingTime } from "./time.ts";
import { Traps, isAt } from "./traps.ts";
import { today } from "./untrapped.ts";

/** Early in the day: each cell lets some minutes pass. */
const MORNING = "2031-05-14T01:00:00Z";
/** The longest life of a hold of a request. */
const HOLDS_ENDED_MS = 121_000;
const A_MINUTE_LATER_MS = 61_000;

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Record<string, unknown>;
}

interface Asking {
  /** Whose; the administrator's unless it is given. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface World {
  /** What doors other than `ask` are opened with. */
  readonly bindings: Env;
  readonly time: PassingTime;
  readonly traps: Traps;
  /** One request to the Worker, traced; what happens beside its answer has happened too. */
  readonly ask: (method: string, path: string, body?: unknown, asking?: Asking) => Promise<Reply>;
}

export interface Flow {
  readonly table: FlowTable;
  /** What all cells share, after the stores were emptied. */
  readonly prepare?: () => Promise<void>;
  /** What this cell needs before the part fails. */
  readonly arrange?: (n: number) => Promise<void>;
  /** One use. Returns what whoever asked is told, in the table's words. */
  readonly use: (n: number, world: World) => Promise<string>;
  /** What happens between the first look at the count and the fault. */
  readonly upset?: (n: number) => Promise<void>;
  /** A part that is away during every use, without a fault and with one. */
  readonly without?: Place;
  /** Traps in further parts. */
  readonly trap?: (traps: Traps) => void;
  /** What there is to tell of a use in which the Worker died. */
  readonly dead?: () => Promise<string>;
  /** What must hold besides when all is over. */
  readonly check?: (n: number, world: World, cell: { readonly target: Target; readonly fault: Fault }) => Promise<void>;
  /** Hosts beside the provider's and the collector's, and what they answer. */
  readonly others?: Others;
}

/** Traces are sent, so that the collector is a part like the others. */
const traced = { ...env, OTEL_ENABLED: "true", OTEL_ENDPOINT: COLLECTOR_URL } as unknown as Env;

function door(time: PassingTime, bindings: Env): World["ask"] {
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
  /** Charged today, with what the provider counted and nobody claimed. */
  readonly used: number;
  readonly reserved: number;
  /** By the provider. */
  readonly spent: number;
}

/** Also checks what holds at any time. */
async function count(): Promise<Count> {
  const [{ used, reserved, callers }, { spent }] = [await today(), await simulator.state()];
  expect({ sum: callers.reduce((sum, each) => sum + each.used, 0) }).toEqual({ sum: used });
  return { used, reserved, spent };
}

const pass = (ms: number): void => void vi.setSystemTime(Date.now() + ms);

/** Everything that happened from a request to the end of its beside-work, and the seconds until its answer. */
async function used(flow: Flow, n: number, world: World): Promise<{ readonly told: string; readonly seconds: number }> {
  world.traps.without(flow.without ?? null);
  const { result, seconds } = await world.time.run(async () => flow.use(n, world));
  world.traps.without(null);
  return { told: result === NEVER ? ((await flow.dead?.()) ?? "no answer") : result, seconds };
}

async function observe(flow: Flow, n: number, world: World, cell: { readonly target: Target; readonly fault: Fault }): Promise<Row> {
  const { traps } = world;
  const before = await count();
  await flow.upset?.(n);
  traps.arm(cell.target, cell.fault);
  const { told, seconds } = await used(flow, n, world);
  const { tries } = traps;
  // A fault of a minute ends by itself.
  if (cell.fault === "minute") pass(A_MINUTE_LATER_MS);
  else traps.heal();
  const after = await count();
  const again = await used(flow, n, world);
  traps.heal();
  pass(HOLDS_ENDED_MS);
  const end = await count();

  const [sent, charged, held] = [after.spent - before.spent, after.used - before.used, after.reserved - before.reserved];
  // What was held has become a charge by then.
  const againCharged = end.used - after.used - after.reserved;
  expect(end.reserved, "nothing is reserved for ever").toBe(0);
  // An operator may set the count lower; then nothing is sent.
  expect(sent, "never more than what was charged or held").toBeLessThanOrEqual(Math.max(0, charged + held));
  expect(end.spent - before.spent, "nor in the end").toBeLessThanOrEqual(Math.max(0, end.used - before.used));
  await flow.check?.(n, world, cell);
  return [cell.fault, told, seconds, tries, sent, charged, held, again.told, againCharged];
}

const nameOf = ({ part, at, spares }: Target): string => `${part} ${at}${spares === undefined ? "" : ` +${spares}`}`;

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
  const traps = new Traps(time);
  const bindings = table.traced === false ? env : traced;
  const world: World = { bindings, time, traps, ask: door(time, bindings) };
  /** Thousands of lines, which are worth sending only where a cell fails. */
  const logged: [Level, string][] = [];
  const show = { log: console.log, warn: console.warn, error: console.error };
  let n = 0;

  beforeEach(async () => {
    n += 1;
    await flow.arrange?.(n);
  });
  beforeAll(async () => {
    await freshStart(MORNING);
    // The provider knows every book that is asked for.
    await simulator.control("PUT", "/settings", { unknown_percent: 0 });
    await flow.prepare?.();
    trapLedger(traps);
    trapKv(traps);
    trapD1(traps);
    trapOutbound(traps, flow.others);
    flow.trap?.(traps);
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
    await flow.upset?.(n);
    traps.takeMet();
    const { told, seconds } = await used(flow, n, world);
    const met = traps.takeMet();
    const after = await count();
    const charged = after.used - before.used;
    expect({ told, seconds, charged }).toEqual({ told: table.clean, seconds: 0, charged: table.cleanCharged });
    const isMet = (place: Place, operation: string): boolean => operation.startsWith(`${place.part}: `) && isAt(place, operation);
    const named: readonly Place[] = [...table.targets, ...(table.elsewhere ?? []), ...(flow.without ? [flow.without] : [])];
    const nameless = met.filter((operation) => !named.some((place) => isMet(place, operation)));
    expect(nameless, "every place is named").toEqual([]);
    const unmet = named.filter((place) => !met.some((operation) => isMet(place, operation)));
    expect(unmet, "every named place is met").toEqual([]);
  });

  describe.each(table.targets)("$part, $words:", (target) => {
    test.each(target.faults ?? ALL_FAULTS)("%s", async (fault) => {
      const observed = await observe(flow, n, world, { target, fault });
      const promised = target.cells.find(([of]) => of === fault);
      expect(observed, `ROW ${table.name}: ${nameOf(target)} ${JSON.stringify(observed)}`).toEqual(promised);
    });
  });
}

/**
 * Five normal callers with one hostile caller at three requests a second: the part of the pace that each keeps. docs/reliability-matrix.md
 * shows the table. fairness.test.ts repeats rows with the real ledger. No I/O. No clock.
 */
import { spacingMs } from "../../worker/src/quota/pace.ts";
import { Returns } from "../../worker/src/quota/returns.ts";
import { Turns } from "../../worker/src/quota/turns.ts";
import { HOSTILE, simulate } from "./pace-simulation.ts";
import type { CallerPlan, CallerResult, Door } from "./pace-simulation.ts";

export const RATE = 3;
export const START = Date.parse("2031-05-14T14:03:11Z");
/** Long enough that one turn more or less does not matter. */
const DURATION_MS = 5 * 60_000;

/** Each sends one request in 2.5 s, which is 0.4 a second. The equal part of each of six callers is 0.5 a second. */
export const NORMAL: readonly CallerPlan[] = Array.from({ length: 5 }, (_, index) => ({
  name: `project:n${index}`,
  everyMs: 2_500,
  from: 1_000 + index * 470,
}));

export interface FairnessRow {
  readonly hostile: string;
  /** An equal part of all turns. */
  readonly equalPart: number;
  /** Requests of each normal caller, lowest first, alone and with the hostile caller. */
  readonly alone: readonly number[];
  readonly together: readonly number[];
  readonly refused: number;
  readonly longestWaitMs: number;
  /** Reservations that the hostile caller was granted. */
  readonly hostileGranted: number;
}

/** The pace without the rest of the ledger. */
export function paceOnly(): Door {
  const turns = new Turns(RATE, 0);
  const returns = new Returns();
  const open = new Map<string, { caller: string; startAt: number }>();
  return {
    book(caller, priority, now) {
      const waitMs = returns.waitMs(caller, now);
      if (waitMs > 0) return { waitMs };
      const turn = turns.book(caller, priority, now);
      if (turn.result === "refused") return turn;
      const id = `${caller} ${now} ${open.size} ${turn.startAt}`;
      open.set(id, { caller, startAt: turn.startAt });
      return { startAt: turn.startAt, id };
    },
    release(id, now) {
      const turn = open.get(id);
      if (!turn) throw new Error(`${id} is not open`);
      turns.release(turn, now);
      returns.add(turn.caller, now);
    },
  };
}

const isNormal = (name: string): boolean => NORMAL.some((plan) => plan.name === name);

export function rowOf(hostile: string, alone: ReadonlyMap<string, CallerResult>, together: ReadonlyMap<string, CallerResult>): FairnessRow {
  const normal = [...together].filter(([name]) => isNormal(name)).map(([, result]) => result);
  const sent = (results: readonly CallerResult[]): number[] => results.map((result) => result.sent.length).toSorted((a, b) => a - b);
  return {
    hostile,
    equalPart: DURATION_MS / spacingMs(RATE) / together.size,
    alone: sent([...alone.values()]),
    together: sent(normal),
    refused: normal.reduce((sum, { refused }) => sum + refused, 0),
    longestWaitMs: Math.round(Math.max(...normal.map(({ longestWaitMs }) => longestWaitMs))),
    hostileGranted: [...together].reduce((sum, [name, { granted }]) => sum + (isNormal(name) ? 0 : granted), 0),
  };
}

export function fairnessRows(): FairnessRow[] {
  const alone = simulate(paceOnly(), NORMAL, DURATION_MS, START);
  return Object.entries(HOSTILE).map(([name, plans]) =>
    rowOf(name, alone, simulate(paceOnly(), [...plans, ...NORMAL], DURATION_MS, START)),
  );
}

/** The requests of the normal caller that was served worst, in percent of its requests alone, or of its equal part if that is less. */
export const keptPercent = ({ alone, together, equalPart }: FairnessRow): number =>
  Math.floor(Math.min(...together.map((sent, index) => (100 * sent) / Math.min(alone[index] ?? sent, equalPart))));

const seconds = (ms: number): string => (ms / 1_000).toFixed(1);

export function fairnessSection(table: (head: readonly string[], rows: readonly (readonly string[])[]) => string): string[] {
  const rows = fairnessRows().map((row) => [
    row.hostile,
    String(row.alone[0]),
    String(row.together[0]),
    String(Math.floor(row.equalPart)),
    `${keptPercent(row)}%`,
    String(row.refused),
    `${seconds(row.longestWaitMs)} s`,
    String(row.hostileGranted),
  ]);
  return [
    "## Fairness",
    "Five normal projects and one hostile project use a pace of three requests a second for five minutes. Each normal project sends one request in 2.5 s. The numbers are those of the normal project that was served worst. *Kept* compares with its requests alone, or with an equal part of all turns if that is less. A project may release 30 unused reservations per minute.",
    table(
      ["Hostile project", "Requests alone", "Requests together", "Equal part", "Kept", "Refusals", "Longest wait", "Granted to it"],
      rows,
    ),
  ];
}

/** The sentence in docs/reliability.md about the worst row. */
export function fairnessQuote(): string {
  const rows = fairnessRows();
  const worst = rows.reduce((least, row) => (keptPercent(row) < keptPercent(least) ? row : least));
  const sufficient = rows.filter(({ alone, equalPart }) => Math.max(...alone) <= equalPart);
  const wait = Math.max(...sufficient.map(({ longestWaitMs }) => longestWaitMs));
  const refused = sufficient.reduce((sum, row) => sum + row.refused, 0);
  const part =
    "The fair number is the smaller of two numbers. One is the project's number of requests in a run without hostile projects. The other is an equal part of all turns.";
  const calm = `${refused === 0 ? "no refusals" : `${refused} refusals`}. They wait at most ${seconds(wait)} s for a turn.`;
  return `Five normal projects were tested with ${rows.length} kinds of hostile projects. The worst case is “${worst.hostile}”. In it, each normal project gets at least ${keptPercent(worst)}% of its fair number of turns. ${part} A hostile project runs one or more loops. A loop requests a turn, uses or releases it, and requests another. Projects that need no more than an equal part get ${calm} [All cases](reliability-matrix.md#fairness)`;
}

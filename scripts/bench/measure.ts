/** Types of a measure, and the order of its contenders. */
import type { LoadProcess } from "./load-process.ts";
import { ratiosOf, rotated } from "./statistics.ts";
import type { Bundles } from "./bundles.ts";
import type { Workerd } from "./workerd.ts";

export type Unit = "req/s" | "ms" | "s" | "per second" | "calls" | "KiB" | "MB" | "grants over";

/** Sizes of a run. */
export interface Scale {
  readonly rounds: number;
  /** Duration of the load for each contender in each round. */
  readonly seconds: number;
  readonly connections: readonly number[];
  readonly projects: readonly number[];
  /** Most projects for which the loop runs too. */
  readonly loopedProjects: number;
  readonly organizations: number;
  readonly events: number;
  readonly megabytes: readonly number[];
}

export interface Bench {
  readonly scale: Scale;
  readonly bundles: Bundles;
  readonly load: LoadProcess;
  /** Runs all Workers. Each measure starts another process. */
  readonly workerd: Workerd;
  /** Prints the current activity. */
  readonly report: (text: string) => void;
}

export interface Measure {
  readonly name: string;
  readonly about: string;
  /** Uses the inspector of workerd, which may slow it down. */
  readonly inspected?: true;
  readonly run: (bench: Bench) => Promise<readonly Outcome[]>;
}

export interface Series {
  readonly contender: string;
  readonly unit: Unit;
  readonly rounds: readonly number[];
  readonly note?: string;
}

export interface Target {
  readonly least?: number;
  readonly most?: number;
}

export interface Ratio {
  readonly of: string;
  readonly to: string;
  readonly rounds: readonly number[];
  readonly target?: Target;
}

/** Result of a measure in one setting. */
export interface Outcome {
  readonly title: string;
  readonly series: readonly Series[];
  readonly ratios: readonly Ratio[];
}

export interface Contender {
  readonly name: string;
  readonly run: (round: number) => Promise<number>;
  readonly note?: () => string | undefined;
}

/** Runs each contender once per round, in rotated order. */
export async function inTurns(rounds: number, unit: Unit, contenders: readonly Contender[]): Promise<Series[]> {
  const values = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const { name, run } of rotated(contenders, round)) values.get(name)?.push(await run(round));
  }
  return contenders.map(({ name, note }) => {
    const remark = note?.();
    return { contender: name, unit, rounds: values.get(name) ?? [], ...(remark === undefined ? {} : { note: remark }) };
  });
}

/** Ratio of two series. Empty if one is missing. */
export function ratio(series: readonly Series[], of: string, to: string, target?: Target): Ratio[] {
  const [ours, theirs] = [of, to].map((name) => series.find(({ contender }) => contender === name));
  if (ours === undefined || theirs === undefined) return [];
  return [{ of, to, rounds: ratiosOf(ours.rounds, theirs.rounds), ...(target ? { target } : {}) }];
}

/** Duration in milliseconds. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

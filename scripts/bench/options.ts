/** The command line of `npm run bench`. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Foreseen } from "../start/foreseen.js";
import type { Measure, Scale } from "./measure.ts";

export interface Options {
  readonly measures: readonly Measure[];
  readonly scale: Scale;
  /** Where the figures go as JSON; null: nowhere. */
  readonly json: string | null;
  /** Where hono-rate-limiter is, or is installed; null: it takes no part. */
  readonly limiter: string | null;
}

const FULL: Scale = {
  rounds: 3,
  seconds: 2,
  connections: [1, 16, 64],
  projects: [1_000, 10_000, 100_000],
  loopedProjects: 10_000,
  organizations: 10_000,
  events: 1_000,
  megabytes: [10, 100],
};

const QUICK: Scale = {
  rounds: 3,
  seconds: 0.4,
  connections: [16],
  projects: [200],
  loopedProjects: 200,
  organizations: 200,
  events: 200,
  megabytes: [2],
};

const LIMITER_FOLDER = join(tmpdir(), "quota-coordinator-bench");

export const helpOf = (
  measures: readonly Measure[],
): string => `npm run bench -- [options]     measures the product beside what one would build instead

  --quick          small sizes and short rounds: about a minute, and only a hint
  --only NAMES     only these measures, separated by commas; may be given more than once
  --rounds N       rounds of each contender, 3 to 50 (${FULL.rounds})
  --seconds S      of load in each round, 0.1 to 60 (${FULL.seconds}; with --quick ${QUICK.seconds})
  --json FILE      writes every round as JSON too
  --limiter DIR    where hono-rate-limiter is installed on the first run
                   (${LIMITER_FOLDER})
  --no-limiter     leaves hono-rate-limiter out; without a network it is left out by itself
  --help           this page

Measures:
${measures.map(({ name, about }) => `  ${name.padEnd(16)} ${about}`).join("\n")}

Everything runs here: workerd, and a process that makes the load, on loopback. Nothing is left behind but
hono-rate-limiter's folder. Exit code: 0 done, 1 something failed; a missed target is shown and is no failure.
`;

/** Null where the help was asked for. Throws `Foreseen` for what makes no sense. */
export function readOptions(args: readonly string[], all: readonly Measure[]): Options | null {
  const values = parsed(args);
  if (values.help) return null;
  const scale = values.quick ? QUICK : FULL;
  const rounds = numberIn("--rounds", values.rounds, { least: 3, most: 50, whole: true }) ?? scale.rounds;
  const seconds = numberIn("--seconds", values.seconds, { least: 0.1, most: 60, whole: false }) ?? scale.seconds;
  const limiter = values["no-limiter"] ? null : (values.limiter ?? LIMITER_FOLDER);
  return { measures: chosen(values.only, all), scale: { ...scale, rounds, seconds }, json: values.json ?? null, limiter };
}

function chosen(only: readonly string[] | undefined, all: readonly Measure[]): readonly Measure[] {
  if (only === undefined) return all;
  const names = new Set(only.flatMap((list) => list.split(",")).map((name) => name.trim()));
  const known = all.map(({ name }) => name);
  const unknown = [...names].find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Foreseen(`--only is ${JSON.stringify(unknown)}; expected one of ${known.join(", ")}`);
  return all.filter(({ name }) => names.has(name));
}

function numberIn(
  flag: string,
  given: string | undefined,
  { least, most, whole }: { readonly least: number; readonly most: number; readonly whole: boolean },
): number | null {
  if (given === undefined) return null;
  const value = given.trim() === "" ? Number.NaN : Number(given);
  if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
  throw new Foreseen(`${flag} is ${JSON.stringify(given)}; expected a ${whole ? "whole number" : "number"} from ${least} to ${most}`);
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: "boolean", default: false },
        only: { type: "string", multiple: true },
        rounds: { type: "string" },
        seconds: { type: "string" },
        json: { type: "string" },
        limiter: { type: "string" },
        "no-limiter": { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (error) {
    const [first = ""] = error instanceof Error ? error.message.split(/[.\n]/u, 1) : [];
    throw new Foreseen(`${first}; npm run bench -- --help shows what there is.`);
  }
}

/** The command line of `npm run bench`. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PATH, columns, numberFrom, text, wholeFrom } from "../lib/options.ts";
import type { Values } from "../lib/options.ts";
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

export const commandLine = (measures: readonly Measure[]) =>
  ({
    command: "npm run bench",
    about: "Measures the product beside what one would build instead.",
    options: {
      quick: { help: "small sizes and short rounds: about a minute, and only a hint" },
      only: {
        value: "NAMES",
        kind: text("names of measures"),
        many: true,
        help: "only these measures, separated by commas; may be repeated",
      },
      rounds: { value: "N", kind: wholeFrom(3, 50), help: `rounds of each contender, 3 to 50 (${FULL.rounds})` },
      seconds: {
        value: "S",
        kind: numberFrom(0.1, 60),
        help: `of load in each round, 0.1 to 60 (${FULL.seconds}; with --quick ${QUICK.seconds})`,
      },
      json: { value: "FILE", kind: PATH, help: "write every round as JSON too" },
      limiter: { value: "DIR", kind: PATH, help: `where hono-rate-limiter is installed on the first run (${LIMITER_FOLDER})` },
      "no-limiter": { help: "leave hono-rate-limiter out, as happens automatically without a network" },
    },
    after: `Measures:
${columns(measures.map(({ name, about }) => [name, about]))}

Everything runs here: workerd, and a process that makes the load, on loopback.
Nothing is left behind but hono-rate-limiter's folder. Exit code: 0 done,
1 something failed. A missed target is shown and is no failure.`,
  }) as const;

/** Throws `Foreseen` for what makes no sense. */
export function optionsFrom(values: Values<ReturnType<typeof commandLine>["options"]>, all: readonly Measure[]): Options {
  const { quick, rounds, seconds, only, json = null, limiter = LIMITER_FOLDER } = values;
  const scale = quick ? QUICK : FULL;
  return {
    measures: chosen(only, all),
    scale: { ...scale, rounds: rounds ?? scale.rounds, seconds: seconds ?? scale.seconds },
    json,
    limiter: values["no-limiter"] ? null : limiter,
  };
}

function chosen(only: readonly string[] | undefined, all: readonly Measure[]): readonly Measure[] {
  if (only === undefined) return all;
  const names = new Set(only.flatMap((list) => list.split(",")).map((name) => name.trim()));
  const known = all.map(({ name }) => name);
  const unknown = [...names].find((name) => !known.includes(name));
  if (unknown !== undefined) throw new Foreseen(`--only is ${JSON.stringify(unknown)}; expected one of ${known.join(", ")}`);
  return all.filter(({ name }) => names.has(name));
}

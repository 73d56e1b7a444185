/** Command line of `npm run bench`. */
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PATH, columns, numberFrom, text, integerFrom } from "../lib/options.ts";
import type { Values } from "../lib/options.ts";
import { UserError } from "../start/user-error.js";
import type { Measure, Scale } from "./measure.ts";

export interface Options {
  readonly measures: readonly Measure[];
  readonly scale: Scale;
  /** File for the results as JSON, or null. */
  readonly json: string | null;
  /** Folder of hono-rate-limiter, or null to omit it. */
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
    about: "Measures the product and its alternatives.",
    options: {
      quick: { help: "small sizes and short rounds (about a minute, less exact)" },
      only: {
        value: "NAMES",
        kind: text("names of measures"),
        repeatable: true,
        help: "only these measures, separated by commas (repeatable)",
      },
      rounds: { value: "N", kind: integerFrom(3, 50), help: `rounds per contender, 3 to 50 (default: ${FULL.rounds})` },
      seconds: {
        value: "S",
        kind: numberFrom(0.1, 60),
        help: `seconds of load per round, 0.1 to 60 (default: ${FULL.seconds}, with --quick ${QUICK.seconds})`,
      },
      json: { value: "FILE", kind: PATH, help: "also write all rounds as JSON" },
      limiter: { value: "DIR", kind: PATH, help: `folder for hono-rate-limiter, installed on the first run (default: ${LIMITER_FOLDER})` },
      "no-limiter": { help: "omit hono-rate-limiter (automatic without a network)" },
    },
    after: `Measures:
${columns(measures.map(({ name, about }) => [name, about]))}

Everything runs on this machine over loopback.
Only the folder of hono-rate-limiter remains afterwards.
Exit code: 0 done, 1 failed. A missed target does not fail.`,
  }) as const;

/** Throws `UserError` for an unknown measure. */
export function optionsFrom(values: Values<ReturnType<typeof commandLine>["options"]>, all: readonly Measure[]): Options {
  const { quick, rounds, seconds, only, json = null, limiter = LIMITER_FOLDER } = values;
  const scale = quick ? QUICK : FULL;
  return {
    measures: measuresNamed(only, all),
    scale: { ...scale, rounds: rounds ?? scale.rounds, seconds: seconds ?? scale.seconds },
    json,
    limiter: values["no-limiter"] ? null : limiter,
  };
}

function measuresNamed(only: readonly string[] | undefined, all: readonly Measure[]): readonly Measure[] {
  if (only === undefined) return all;
  const names = new Set(only.flatMap((list) => list.split(",")).map((name) => name.trim()));
  const known = all.map(({ name }) => name);
  const unknown = [...names].find((name) => !known.includes(name));
  if (unknown !== undefined) throw new UserError(`--only must be one of ${known.join(", ")} (got ${JSON.stringify(unknown)}).`);
  return all.filter(({ name }) => names.has(name));
}

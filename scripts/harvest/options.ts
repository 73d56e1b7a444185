/** Command line of `npm run harvest`. Reads the environment and the file of local secrets. */
import { resolve } from "node:path";
import { PATH, address, columns, oneOf, readOptions as readTable, text, integerFrom } from "../lib/options.ts";
import type { Kind, Values } from "../lib/options.ts";
import { UserError } from "../start/user-error.js";
import { ROOT } from "../start/places.ts";
import { readVars } from "../start/vars.ts";
import { TIER_NAMES, uniqueNames } from "./source.ts";
import type { Source } from "./source.ts";

export const DEFAULT_BASE_URL = "http://127.0.0.1:8787";
const DEFAULT_CHECKPOINT = "harvest-checkpoint.json";

export interface Options {
  /** null: taken from the checkpoint. */
  readonly source: Source | null;
  /** null: taken from the checkpoint, or the default. */
  readonly baseUrl: string | null;
  readonly maxPages: number | null;
  readonly token: string;
  readonly task: "harvest" | "dry_run" | "check_quota";
  readonly from: "start" | "resume" | "retry_failed";
  readonly wait: boolean;
  /** Absolute. */
  readonly checkpoint: string;
  readonly json: boolean;
  readonly force: boolean;
  readonly statusIntervalMs: number;
  readonly retryPauseMs: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

const SECONDS: Kind<number> = {
  expected: "a number of seconds above 0, such as 60 or 0.5",
  read: (given) => (/^\d{1,5}(\.\d{1,3})?$/u.test(given) && Number(given) > 0 ? Number(given) : undefined),
};

export const COMMAND_LINE = {
  command: "npm run harvest",
  about: "Fetches the bibliographies of many authors, over several days if necessary.",
  options: {
    tier: { value: "TIER", kind: oneOf(TIER_NAMES), help: `authors by their rank in the catalog: ${TIER_NAMES.join(", ")}` },
    author: { value: "NAME", kind: text("a name"), repeatable: true, help: "one author (repeatable)" },
    authors: {
      value: "FILE",
      kind: PATH,
      help: "text with one name per line (# comments), or .csv with a column author, author_name or name",
    },
    resume: { help: "continue the run of the checkpoint" },
    "retry-failed": { help: "continue the run, then retry the failed authors" },
    "max-pages": {
      value: "N",
      kind: integerFrom(1, 100),
      help: "maximum pages of 1,000 books per author (default: all pages of the provider)",
    },
    "dry-run": { help: "print the number of calls and days without calling the provider" },
    "check-quota": { help: "print today's remaining calls (exit code 2 if there are none)" },
    wait: { help: "wait for the reset when today's calls are used up, then continue" },
    "base-url": { value: "URL", kind: address(DEFAULT_BASE_URL), help: `address of the coordinator (default: ${DEFAULT_BASE_URL})` },
    token: { value: "TOKEN", kind: text("the admin token"), help: "admin token (default: ADMIN_TOKEN or .dev.vars)" },
    checkpoint: { value: "FILE", kind: PATH, help: `file of the progress (default: ${DEFAULT_CHECKPOINT})` },
    force: { help: "replace the checkpoint (with --resume: allow another --base-url)" },
    json: { help: "print one JSON object per line" },
    "status-interval": { value: "SECONDS", kind: SECONDS, help: "interval of status checks while waiting (default: 60)" },
    "retry-pause": { value: "SECONDS", kind: SECONDS, help: "pause after a failure, doubled after each further one (default: 2)" },
  },
  after: `Pass one of --tier, --author and --authors, or --resume.
Calls run one at a time. Authors in the catalog are free.

Exit codes:
${columns([
  ["0", "done"],
  ["1", "fatal error"],
  ["2", "today's calls are used up (progress saved)"],
  ["3", "finished, but some authors failed"],
  ["130", "interrupted (progress saved)"],
])}

With --json each line is an object with a type and a time:
${columns([
  ["start", "source, authors, settled, base_url, checkpoint, resumed"],
  ["quota", "used, safety_limit, remaining, reset_at, …"],
  ["author", "author, result (done, limited, truncated, unknown, failed), books, pages, calls, settled, total, next_page?, reason?"],
  ["pause", "author, because (pace, trouble), seconds, message"],
  ["exhausted", "next_author, waiting, message, reset_at"],
  ["continued", "next_author, waited_seconds"],
  ["warning", "message"],
  ["plan", "authors, calls, days, full_days, … (--dry-run)"],
  ["end", "ending, exit_code, totals, failed, message"],
  ["error", "message (the run did not start)"],
])}`,
} as const;

/** null if --help is given. Throws `UserError` for invalid options. */
export function readOptions(args: readonly string[], environment: Environment): Options | null {
  const read = readTable(COMMAND_LINE, args);
  if (read === null) return null;
  const { values } = read;
  const at = (path: string): string => resolve(environment["npm_lifecycle_event"] ? (environment["INIT_CWD"] ?? "") : "", path);
  const source = sourceIn(values, at);
  const task = values["check-quota"] ? "check_quota" : values["dry-run"] ? "dry_run" : "harvest";
  const from = values["retry-failed"] ? "retry_failed" : values.resume ? "resume" : "start";
  if (source === null && task !== "check_quota" && from === "start") {
    throw new UserError("No authors given. Pass one of --tier, --author and --authors, or --resume.");
  }
  const { ADMIN_TOKEN: local } = readVars(`${ROOT}.dev.vars`) ?? {};
  const token = values.token ?? environment["ADMIN_TOKEN"] ?? local ?? "";
  // The status is public.
  if (token === "" && task !== "check_quota") throw new UserError("The admin token is missing. Pass --token or set ADMIN_TOKEN.");
  return {
    source,
    task,
    from,
    token,
    baseUrl: values["base-url"] ?? null,
    maxPages: values["max-pages"] ?? null,
    wait: values.wait,
    checkpoint: at(values.checkpoint ?? DEFAULT_CHECKPOINT),
    json: values.json,
    force: values.force,
    statusIntervalMs: (values["status-interval"] ?? 60) * 1_000,
    retryPauseMs: (values["retry-pause"] ?? 2) * 1_000,
  };
}

function sourceIn({ tier, author, authors }: Values<typeof COMMAND_LINE.options>, at: (path: string) => string): Source | null {
  const sources: Source[] = [
    ...(tier === undefined ? [] : [{ kind: "tier", tier } as const]),
    ...(author === undefined ? [] : [{ kind: "author", names: uniqueNames(author) } as const]),
    ...(authors === undefined ? [] : [{ kind: "authors", file: at(authors) } as const]),
  ];
  if (sources.length > 1) throw new UserError("Pass only one of --tier, --author and --authors.");
  return sources[0] ?? null;
}

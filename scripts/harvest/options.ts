/** The command line of `npm run harvest`. Reads the environment and the file of local secrets, nothing else. */
import { resolve } from "node:path";
import { PATH, address, columns, oneOf, readOptions as readTable, text, wholeFrom } from "../lib/options.ts";
import type { Kind, Values } from "../lib/options.ts";
import { Foreseen } from "../start/foreseen.js";
import { ROOT } from "../start/places.ts";
import { readVars } from "../start/vars.ts";
import { TIER_NAMES, distinct } from "./source.ts";
import type { Source } from "./source.ts";

export const DEFAULT_BASE_URL = "http://127.0.0.1:8787";
const DEFAULT_CHECKPOINT = "harvest-checkpoint.json";

export interface Options {
  /** Null: what the checkpoint says. */
  readonly source: Source | null;
  /** Null: what the checkpoint says, else the default. */
  readonly baseUrl: string | null;
  readonly maxPages: number | null;
  readonly token: string;
  readonly task: "harvest" | "dry_run" | "check_quota";
  readonly from: "anew" | "resume" | "retry_failed";
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
  expected: "seconds above 0, such as 60 or 0.5",
  read: (given) => (/^\d{1,5}(\.\d{1,3})?$/u.test(given) && Number(given) > 0 ? Number(given) : undefined),
};

export const COMMAND_LINE = {
  command: "npm run harvest",
  about: "Fetches the bibliographies of many authors, over as many days as their calls take.",
  options: {
    tier: { value: "TIER", kind: oneOf(TIER_NAMES), help: `authors by their place in the catalogue: ${TIER_NAMES.join(", ")}` },
    author: { value: "NAME", kind: text("a name"), many: true, help: "one author; may be repeated" },
    authors: {
      value: "FILE",
      kind: PATH,
      help: "text with a name a line (# comments), or .csv with a column author, author_name or name",
    },
    resume: { help: "continue where the checkpoint stands" },
    "retry-failed": { help: "the same, and then try the failed authors again" },
    "max-pages": { value: "N", kind: wholeFrom(1, 100), help: "pages of 1,000 books an author, at most (default: all the provider gives)" },
    "dry-run": { help: "say how many calls and days it takes; spend nothing" },
    "check-quota": { help: "show today's remaining calls: exit code 0, or 2 if there are none" },
    wait: { help: "when the day's calls are used up, wait for new ones and continue" },
    "base-url": { value: "URL", kind: address(DEFAULT_BASE_URL), help: `the coordinator's address (default: ${DEFAULT_BASE_URL})` },
    token: { value: "TOKEN", kind: text("the admin token"), help: "the admin token (default: ADMIN_TOKEN, else what .dev.vars says)" },
    checkpoint: { value: "FILE", kind: PATH, help: `the file that keeps the progress (default: ${DEFAULT_CHECKPOINT})` },
    force: { help: "start again over a checkpoint; with --resume: at another address" },
    json: { help: "print one JSON object a line" },
    "status-interval": { value: "SECONDS", kind: SECONDS, help: "how often a waiting run looks for new calls (default: 60)" },
    "retry-pause": { value: "SECONDS", kind: SECONDS, help: "pause after a failure, doubled with each in a row (default: 2)" },
  },
  after: `Name the authors with one of --tier, --author and --authors, or use --resume.
Calls are spent one at a time. Authors that the catalogue holds are free.

Exit code: 0 done, 1 fatal, 2 the day's calls are used up (progress is saved),
3 finished, but some authors failed, 130 interrupted (progress is saved).

With --json every line is an object with a type and the time:
${columns([
  ["start", "source, authors, settled, base_url, checkpoint, resumed"],
  ["quota", "the status: used, safety_limit, remaining, reset_at, …"],
  ["author", "author, result (done, limited, truncated, unknown, failed), books, pages, calls, settled, total, next_page?, reason?"],
  ["pause", "author, because (pace, trouble), seconds, message"],
  ["exhausted", "next_author, waiting, message, reset_at"],
  ["continued", "next_author, waited_seconds"],
  ["warning", "message"],
  ["plan", "authors, calls, days, full_days, … (--dry-run)"],
  ["end", "ending, exit_code, totals, failed, message"],
  ["error", "message (it could not begin)"],
])}`,
} as const;

/** Null where the help was asked for. Throws `Foreseen` for what makes no sense. */
export function readOptions(args: readonly string[], environment: Environment): Options | null {
  const read = readTable(COMMAND_LINE, args);
  if (read === null) return null;
  const { values } = read;
  const at = (path: string): string => resolve(environment["npm_lifecycle_event"] ? (environment["INIT_CWD"] ?? "") : "", path);
  const source = sourceIn(values, at);
  const task = values["check-quota"] ? "check_quota" : values["dry-run"] ? "dry_run" : "harvest";
  const from = values["retry-failed"] ? "retry_failed" : values.resume ? "resume" : "anew";
  if (source === null && task !== "check_quota" && from === "anew") {
    throw new Foreseen("There are no authors to harvest; pass one of --tier, --author and --authors, or --resume.");
  }
  const { ADMIN_TOKEN: local } = readVars(`${ROOT}.dev.vars`) ?? {};
  const token = values.token ?? environment["ADMIN_TOKEN"] ?? local ?? "";
  // The status is public.
  if (token === "" && task !== "check_quota") throw new Foreseen("There is no admin token; pass --token, or set ADMIN_TOKEN.");
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
    ...(author === undefined ? [] : [{ kind: "author", names: distinct(author) } as const]),
    ...(authors === undefined ? [] : [{ kind: "authors", file: at(authors) } as const]),
  ];
  if (sources.length > 1) throw new Foreseen("--tier, --author and --authors are given together; expected one of them.");
  return sources[0] ?? null;
}

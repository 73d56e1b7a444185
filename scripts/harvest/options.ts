/** The command line of `npm run harvest`. Reads the environment and the file of local secrets, nothing else. */
import { resolve } from "node:path";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { Foreseen } from "../start/foreseen.js";
import { ROOT } from "../start/places.ts";
import { readVars } from "../start/vars.ts";
import { HELP_AFTER } from "./help.ts";
import { TIER_NAMES, distinct } from "./source.ts";
import type { Source, Tier } from "./source.ts";

export const DEFAULT_BASE_URL = "http://127.0.0.1:8787";

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

interface Values {
  tier?: Tier;
  author?: string[];
  authors?: string;
  resume?: true;
  retryFailed?: true;
  dryRun?: true;
  checkQuota?: true;
  wait?: true;
  json?: true;
  force?: true;
  maxPages?: number;
  baseUrl?: string;
  token?: string;
  checkpoint: string;
  statusInterval: number;
  retryPause: number;
}

/** Null where the help was asked for, and shown. Throws `Foreseen` for what makes no sense. */
export function readOptions(args: readonly string[], environment: Environment): Options | null {
  const values = parsed(args);
  if (values === null) return null;
  const at = (path: string): string => resolve(environment["npm_lifecycle_event"] ? (environment["INIT_CWD"] ?? "") : "", path);
  const source = sourceIn(values, at);
  const task = values.checkQuota ? "check_quota" : values.dryRun ? "dry_run" : "harvest";
  const from = values.retryFailed ? "retry_failed" : values.resume ? "resume" : "anew";
  if (source === null && task !== "check_quota" && from === "anew") {
    throw new Foreseen("Nobody to harvest; name one of --tier, --author and --authors, or --resume.");
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
    baseUrl: values.baseUrl ?? null,
    maxPages: values.maxPages ?? null,
    wait: values.wait ?? false,
    checkpoint: at(values.checkpoint),
    json: values.json ?? false,
    force: values.force ?? false,
    statusIntervalMs: values.statusInterval * 1_000,
    retryPauseMs: values.retryPause * 1_000,
  };
}

function sourceIn({ tier, author, authors }: Values, at: (path: string) => string): Source | null {
  const sources: Source[] = [
    ...(tier === undefined ? [] : [{ kind: "tier", tier } as const]),
    ...(author === undefined ? [] : [{ kind: "author", names: distinct(author) } as const]),
    ...(authors === undefined ? [] : [{ kind: "authors", file: at(authors) } as const]),
  ];
  if (sources.length > 1) throw new Foreseen("--tier, --author and --authors are given together; expected one of them.");
  return sources[0] ?? null;
}

function parsed(args: readonly string[]): Values | null {
  const quiet = { writeErr: () => undefined };
  const command = commandLine().exitOverride().configureOutput(quiet);
  try {
    return command.parse(args, { from: "user" }).opts<Values>();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return null;
    const sentence = error.message.replace(/^error: /u, "").replace(/\.?$/u, "");
    throw new Foreseen(`${sentence.slice(0, 1).toUpperCase()}${sentence.slice(1)}; npm run harvest -- --help shows what there is.`);
  }
}

function commandLine(): Command {
  return new Command("npm run harvest --")
    .usage("[options]")
    .allowExcessArguments(false)
    .description("Fetches the bibliographies of many authors, over as many days as their calls take.")
    .addOption(new Option("--tier <tier>", `authors by their place in the catalogue: ${TIER_NAMES.join(", ")}`).argParser(tierOf))
    .option("--author <name>", "one author; may be repeated", nameOf)
    .option("--authors <file>", "text with a name a line (# comments), or .csv with a column author, author_name or name", pathOf)
    .option("--resume", "go on where the checkpoint stands")
    .option("--retry-failed", "the same, and then try again what failed")
    .option("--max-pages <n>", "pages of 1,000 books an author, at most (default: all the provider gives)", pagesOf)
    .option("--dry-run", "say how many calls and days it takes; spend nothing")
    .option("--check-quota", "say what is left today: exit code 0, or 2 if nothing is")
    .option("--wait", "when the day's calls are used up, wait for new ones and go on")
    .option("--base-url <url>", `where the coordinator is (default: ${DEFAULT_BASE_URL})`, urlOf)
    .option("--token <token>", "the admin token (default: ADMIN_TOKEN, else what .dev.vars says)")
    .option("--checkpoint <file>", "where progress is kept", pathOf, "harvest-checkpoint.json")
    .option("--force", "start anew over a checkpoint; with --resume: at another address")
    .option("--json", "one JSON object a line")
    .option("--status-interval <seconds>", "how often a waiting run looks for new calls", secondsOf, 60)
    .option("--retry-pause <seconds>", "pause after a failure, doubled with each in a row", secondsOf, 2)
    .helpOption("--help", "this page")
    .addHelpText("after", HELP_AFTER);
}

function expected(what: string): InvalidArgumentError {
  return new InvalidArgumentError(`Expected ${what}`);
}

function tierOf(text: string): Tier {
  const tier = TIER_NAMES.find((name) => name === text);
  if (tier === undefined) throw expected(`one of ${TIER_NAMES.join(", ")}`);
  return tier;
}

function nameOf(text: string, before: string[] = []): string[] {
  if (text.trim() === "") throw expected("a name");
  return [...before, text];
}

function pathOf(text: string): string {
  if (text === "") throw expected("a path");
  return text;
}

function pagesOf(text: string): number {
  if (!/^\d{1,3}$/u.test(text) || Number(text) < 1 || Number(text) > 100) throw expected("a whole number from 1 to 100");
  return Number(text);
}

function secondsOf(text: string): number {
  if (!/^\d{1,5}(\.\d{1,3})?$/u.test(text) || Number(text) <= 0) throw expected("seconds above 0, such as 60 or 0.5");
  return Number(text);
}

function urlOf(text: string): string {
  const { protocol, href } = URL.parse(text) ?? {};
  if (href === undefined || !/^https?:$/u.test(protocol ?? "")) throw expected(`an address such as ${DEFAULT_BASE_URL}`);
  return href.replace(/\/+$/u, "");
}

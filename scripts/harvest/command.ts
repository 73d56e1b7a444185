/** Runs the harvest, --dry-run or --check-quota. */
import { UserError } from "../start/user-error.js";
import { Api } from "./api.ts";
import { listAuthors } from "./author-list.ts";
import { startNew, resumeFrom } from "./initial-state.ts";
import type { InitialState } from "./initial-state.ts";
import { quotaLines } from "./check-quota.ts";
import { CheckpointFile } from "./checkpoint-file.ts";
import { confirmReplacing } from "./confirm.ts";
import type { HarvestEvent } from "./events.ts";
import { EXIT } from "./exit-codes.ts";
import { Harvest } from "./harvest.ts";
import type { End } from "./harvest.ts";
import { DEFAULT_BASE_URL } from "./options.ts";
import type { Options } from "./options.ts";
import { planFor } from "./plan.ts";
import type { Reporter } from "./report.ts";
import { Progress } from "./run.ts";
import { describeSource } from "./source.ts";
import { readStatus } from "./waiting.ts";

export interface CommandContext {
  readonly reporter: Reporter;
  readonly interrupted: AbortSignal;
  /** Whether the user can answer questions. */
  readonly interactive: boolean;
}

/** Returns the exit code. Throws `UserError` if the run cannot start. */
export async function execute(options: Options, context: CommandContext): Promise<number> {
  switch (options.task) {
    case "check_quota":
      return checkQuota(options, context);
    case "dry_run":
      return dryRun(options, context);
    case "harvest":
      return harvest(options, context);
  }
}

function apiFor(options: Options, { interrupted }: CommandContext, baseUrl = options.baseUrl ?? DEFAULT_BASE_URL): Api {
  return new Api(baseUrl, options.token, interrupted);
}

async function checkQuota(options: Options, context: CommandContext): Promise<number> {
  const reply = await apiFor(options, context).status();
  if (reply.kind !== "answer") throw new UserError(`Cannot read the quota status: ${reply.detail}`);
  if (options.json) context.reporter.report({ type: "quota", quota: reply.body });
  else console.log(quotaLines(reply.body, Date.now()).join("\n"));
  return reply.body.can_make_calls ? EXIT.done : EXIT.exhausted;
}

async function dryRun(options: Options, context: CommandContext): Promise<number> {
  const { reporter, interrupted } = context;
  const report = (event: HarvestEvent): void => reporter.report(event);
  const { source, from, retryPauseMs, maxPages } = options;
  if (from !== "start" || source === null) {
    const { checkpoint, items } = resumeFrom(options, new CheckpointFile(options.checkpoint));
    const { base_url, max_pages } = checkpoint.options;
    const status = await readStatus({ api: apiFor(options, context, base_url), report });
    const authors = items.map(() => ({ editions: null }));
    report({ type: "plan", ...planFor(authors, max_pages, status) });
  } else {
    const api = apiFor(options, context);
    const authors = await listAuthors(source, { api, interrupted, retryPauseMs });
    report({ type: "plan", ...planFor(authors, maxPages, await readStatus({ api, report })) });
  }
  return EXIT.done;
}

async function harvest(options: Options, context: CommandContext): Promise<number> {
  const { reporter, interrupted } = context;
  const file = new CheckpointFile(options.checkpoint);
  await file.lock();
  const { checkpoint, items, resumed, warning } = await initialState(options, file, context);
  if (warning !== undefined) reporter.report({ type: "warning", message: warning });
  const began = Date.now();
  const report = (event: HarvestEvent): void => reporter.report(event);
  const { base_url, max_pages } = checkpoint.options;
  const authors = checkpoint.authors.count;
  const progress = new Progress(file, checkpoint);
  reporter.report({
    type: "start",
    source: describeSource(checkpoint.source),
    authors,
    settled: checkpoint.settled,
    base_url,
    checkpoint: file.path,
    resumed,
  });
  const { wait, statusIntervalMs, retryPauseMs } = options;
  const api = apiFor(options, context, base_url);
  const run = { api, progress, report, interrupted, maxPages: max_pages, wait, statusIntervalMs, retryPauseMs };
  const { ending, message } = await new Harvest(run, { lost: resumed && !checkpoint.orderly }).run(items).catch(endOf);
  const { settled, totals, failed } = progress.checkpoint;
  const seconds = Math.round((Date.now() - began) / 1_000);
  const figures = { authors, settled, totals, failed, checkpoint: file.path, seconds };
  reporter.report({ type: "end", ending, exit_code: EXIT[ending], ...figures, message });
  return EXIT[ending];
}

/** Ends the run if the checkpoint cannot be written, because further progress would be lost. */
function endOf(error: unknown): End {
  if (error instanceof UserError) return { ending: "fatal", message: error.message };
  throw error;
}

async function initialState(options: Options, file: CheckpointFile, context: CommandContext): Promise<InitialState> {
  const { interrupted, interactive } = context;
  const { source } = options;
  if (options.from !== "start" || source === null) return resumeFrom(options, file);
  if (file.exists && !options.force) await confirmReplacing(file, { interactive, interrupted });
  const listContext = { api: apiFor(options, context), interrupted, retryPauseMs: options.retryPauseMs };
  const names = (await listAuthors(source, listContext)).map(({ name }) => name);
  if (interrupted.aborted) throw new UserError("Interrupted before the start. Nothing was changed.");
  return startNew({ options: { ...options, source }, file, names });
}

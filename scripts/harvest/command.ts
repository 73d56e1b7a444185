/** What each way of calling the command does. */
import { Foreseen } from "../start/foreseen.js";
import { Api } from "./api.ts";
import { listAuthors } from "./author-list.ts";
import { beginAnew, beginWhereItStands } from "./begin.ts";
import type { Beginning } from "./begin.ts";
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
import { described } from "./source.ts";
import { readStatus } from "./waiting.ts";

export interface Surroundings {
  readonly reporter: Reporter;
  readonly interrupted: AbortSignal;
  /** Somebody is there to be asked. */
  readonly attended: boolean;
}

/** The exit code. Throws `Foreseen` where it could not begin. */
export async function execute(options: Options, surroundings: Surroundings): Promise<number> {
  switch (options.task) {
    case "check_quota":
      return checkQuota(options, surroundings);
    case "dry_run":
      return dryRun(options, surroundings);
    case "harvest":
      return harvest(options, surroundings);
  }
}

function apiFor(options: Options, { interrupted }: Surroundings, baseUrl = options.baseUrl ?? DEFAULT_BASE_URL): Api {
  return new Api(baseUrl, options.token, interrupted);
}

async function checkQuota(options: Options, surroundings: Surroundings): Promise<number> {
  const reply = await apiFor(options, surroundings).status();
  if (reply.kind !== "answer") throw new Foreseen(`The quota's status is not to be had: ${reply.detail}`);
  if (options.json) surroundings.reporter.tell({ type: "quota", quota: reply.body });
  else console.log(quotaLines(reply.body, Date.now()).join("\n"));
  return reply.body.can_make_calls ? EXIT.done : EXIT.exhausted;
}

async function dryRun(options: Options, surroundings: Surroundings): Promise<number> {
  const { reporter, interrupted } = surroundings;
  const tell = (event: HarvestEvent): void => reporter.tell(event);
  const { source, from, retryPauseMs, maxPages } = options;
  if (from !== "anew" || source === null) {
    const { checkpoint, items } = beginWhereItStands(options, new CheckpointFile(options.checkpoint));
    const { base_url, max_pages } = checkpoint.options;
    const status = await readStatus({ api: apiFor(options, surroundings, base_url), tell });
    const authors = items.map(() => ({ editions: null }));
    tell({ type: "plan", ...planFor(authors, max_pages, status) });
  } else {
    const api = apiFor(options, surroundings);
    const authors = await listAuthors(source, { api, interrupted, retryPauseMs });
    tell({ type: "plan", ...planFor(authors, maxPages, await readStatus({ api, tell })) });
  }
  return EXIT.done;
}

async function harvest(options: Options, surroundings: Surroundings): Promise<number> {
  const { reporter, interrupted } = surroundings;
  const file = new CheckpointFile(options.checkpoint);
  await file.lock();
  const { checkpoint, items, resumed, warning } = await begin(options, file, surroundings);
  if (warning !== undefined) reporter.tell({ type: "warning", message: warning });
  const began = Date.now();
  const tell = (event: HarvestEvent): void => reporter.tell(event);
  const { base_url, max_pages } = checkpoint.options;
  const authors = checkpoint.authors.count;
  const progress = new Progress(file, checkpoint);
  reporter.tell({
    type: "start",
    source: described(checkpoint.source),
    authors,
    settled: checkpoint.settled,
    base_url,
    checkpoint: file.path,
    resumed,
  });
  const { wait, statusIntervalMs, retryPauseMs } = options;
  const api = apiFor(options, surroundings, base_url);
  const run = { api, progress, tell, interrupted, maxPages: max_pages, wait, statusIntervalMs, retryPauseMs };
  const { ending, message } = await new Harvest(run, { lost: resumed && !checkpoint.orderly }).go(items).catch(asEnd);
  const { settled, totals, failed } = progress.checkpoint;
  const seconds = Math.round((Date.now() - began) / 1_000);
  const figures = { authors, settled, totals, failed, checkpoint: file.path, seconds };
  reporter.tell({ type: "end", ending, exit_code: EXIT[ending], ...figures, message });
  return EXIT[ending];
}

/** The checkpoint could not be written: going on would be work that nobody remembers. */
function asEnd(error: unknown): End {
  if (error instanceof Foreseen) return { ending: "fatal", message: error.message };
  throw error;
}

async function begin(options: Options, file: CheckpointFile, surroundings: Surroundings): Promise<Beginning> {
  const { interrupted, attended } = surroundings;
  const { source } = options;
  if (options.from !== "anew" || source === null) return beginWhereItStands(options, file);
  if (file.exists && !options.force) await confirmReplacing(file, { ask: attended, interrupted });
  const asking = { api: apiFor(options, surroundings), interrupted, retryPauseMs: options.retryPauseMs };
  const names = (await listAuthors(source, asking)).map(({ name }) => name);
  if (interrupted.aborted) throw new Foreseen("Interrupted before it began; nothing was changed.");
  return beginAnew({ options: { ...options, source }, file, names });
}

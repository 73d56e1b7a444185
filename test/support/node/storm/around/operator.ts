/** Operators: they raise limits, suspend and reactivate projects, and request jobs, backups and harvest targets. */
import type { Random } from "../random.ts";
import type { Storm } from "../storm.ts";

/** Calls by which the daily limit is raised each time. */
const RAISE = 60;

interface Stop {
  /** From its acknowledgement until its end was requested, in epoch milliseconds. */
  readonly from: number;
  until: number;
}

/** The parts of a storm that this one uses. */
interface Around {
  readonly storm: Storm;
  readonly operator: OperatorBook;
}

export class OperatorBook {
  /** The last acknowledged daily limit. */
  limit = 0;
  readonly stops: Stop[] = [];
  readonly jobs = new Map<string, string>();
  readonly backups: string[] = [];
  readonly authors: string[] = [];
  #number = 0;

  next(): number {
    this.#number += 1;
    return this.#number;
  }
}

export async function operate(world: Around, random: Random): Promise<void> {
  switch (
    random.weighted([
      ["raise", 5] as const,
      ["stop", 3] as const,
      ["caps", 2] as const,
      ["job", 4] as const,
      ["backup", 1] as const,
      ["harvest", 2] as const,
    ])
  ) {
    case "raise":
      return raise(world, RAISE, random.whole(0, 40));
    case "stop":
      return stopAndGo(world, random);
    case "caps":
      return changeCaps(world, random);
    case "job":
      return askForJob(world, random);
    case "backup":
      return backUp(world);
    case "harvest":
      return askForHarvest(world, random);
  }
}

/** Limits only rise, so that all earlier promises stay below the current limit. */
export async function raise({ storm, operator }: Around, by: number, floor = 0): Promise<void> {
  const daily_limit = operator.limit + by;
  const body = { daily_limit, safety_buffer: 0, background_floor: floor };
  const answer = await storm.insist("settings", { method: "PUT", path: "/api/quota/settings", body });
  if (answer.status !== 200) storm.journal.fault(`settings: ${answer.status} ${answer.text}`);
  operator.limit = daily_limit;
}

async function stopAndGo({ storm, operator }: Around, random: Random): Promise<void> {
  const path = "/api/projects/toggled";
  const stopped = await storm.insist("suspend", { method: "POST", path: `${path}/suspend`, body: { reason: "A storm" } });
  if (stopped.status !== 200) return storm.journal.fault(`suspend: ${stopped.status} ${stopped.text}`);
  const stop = { from: stopped.answeredAt, until: Infinity };
  operator.stops.push(stop);
  await storm.pause(random.whole(200, 1_500));
  stop.until = Date.now();
  const reactivated = await storm.insist("reactivate", { method: "POST", path: `${path}/reactivate`, body: { reason: "It is over" } });
  if (reactivated.status !== 200) storm.journal.fault(`reactivate: ${reactivated.status} ${reactivated.text}`);
}

/** A raise lifts the suspensions of the lower cap, and a new revision may warn again. */
async function changeCaps({ storm }: Around, random: Random): Promise<void> {
  const body = { storage_uploads_per_day: random.whole(100, 1_500), realtime_connections: random.whole(30, 90) };
  const answer = await storm.insist("caps", { method: "PUT", path: "/api/projects/reported/caps", body });
  if (answer.status !== 200) storm.journal.fault(`caps: ${answer.status} ${answer.text}`);
}

/** Requests with the same idempotency key create one job. */
async function askForJob({ storm, operator }: Around, random: Random): Promise<void> {
  const key = `storm-${operator.next()}`;
  // Delayed jobs are asleep when the Worker is killed.
  const delay = random.chance(70) ? { delay_seconds: random.whole(1, 5) } : {};
  const body = { type: "check_usage_limits", payload: { enforce_limits: random.chance(70) }, idempotency_key: key, ...delay };
  for (let times = random.whole(1, 2); times > 0; times -= 1) {
    const answer = await storm.insist("job", { method: "POST", path: "/api/jobs", body });
    const id = String(answer.body["id"]);
    if (answer.status !== 202 || (operator.jobs.get(key) ?? id) !== id) storm.journal.fault(`job ${key}: ${answer.status} ${answer.text}`);
    operator.jobs.set(key, id);
  }
}

async function backUp({ storm, operator }: Around): Promise<void> {
  const body = { export_type: "full", idempotency_key: `storm-${operator.next()}` };
  const answer = await storm.insist("backup", { method: "POST", path: "/api/projects/readers/backups", body });
  if (answer.status === 202) operator.backups.push(String(answer.body["id"]));
  else if (answer.status !== 409) storm.journal.fault(`backup: ${answer.status} ${answer.text}`);
}

async function askForHarvest({ storm, operator }: Around, random: Random): Promise<void> {
  const authors = Array.from({ length: random.whole(1, 3) }, () => `Cron Writer ${operator.next()}`);
  const answer = await storm.insist("targets", { method: "POST", path: "/api/harvest/targets", body: { authors } });
  if (answer.status >= 300) storm.journal.fault(`targets: ${answer.status} ${answer.text}`);
  operator.authors.push(...authors);
}

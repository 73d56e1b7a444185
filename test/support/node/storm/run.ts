/** A complete storm: concurrent work, then quiet, until all work has ended. */
import { HarvestBook, HarvestRun } from "./around/harvests.ts";
import { OperatorBook, operate, raise } from "./around/operator.ts";
import { Receiver } from "./around/receiver.ts";
import { rotate } from "./around/rotor.ts";
import { TickBook, send, tick } from "./around/ticks.ts";
import { breakOff, calm, evict, misbehave } from "./around/weather.ts";
import { HoldBook, hold } from "./clients/holding.ts";
import { look, signIn } from "./clients/looking.ts";
import { RowBook, makeTables, query } from "./clients/querying.ts";
import { ReportBook, report } from "./clients/reporting.ts";
import { spend } from "./clients/spending.ts";
import type { Random } from "./random.ts";
import { Storm } from "./storm.ts";
import { settle } from "./tenants.ts";
import type { World } from "./world.ts";

export interface Force {
  readonly seconds: number;
  readonly clients: number;
  /** How often the Worker is killed. */
  readonly kills: number;
  /** With fewer results than these, the storm takes up to twice as long. */
  readonly answers: number;
  readonly harvests: number;
  readonly authorsOfEach: number;
  /** Whether the storm waits for reservations of lost clients. Otherwise their lifetimes are shortened. */
  readonly patient: boolean;
}

const CLIENTS = [
  [spend, 30],
  [query, 25],
  [look, 20],
  [hold, 15],
  [report, 10],
] as const;

/** More than the harvests and the cron need. */
const ENOUGH = 100_000;
const FIRST_LIMIT = 80;
const QUIET_MS = 200;
/** The storm waits for retries that are due sooner, to verify that they happen. A third attempt is 40 s away. */
const SOON_MS = 8_000;
const SECOND_MS = 1_000;

/** Time limit for setup and for everything after the storm. */
const AROUND_SECONDS = { patient: 400, impatient: 90 } as const;
const DAY_MS = 86_400_000;

export async function begin(seed: string, force: Force): Promise<World> {
  await dayThatLasts(force);
  const storm = await Storm.open(seed);
  await storm.control("PUT", "/settings", { rate_per_second: 0, daily_limit: 10_000_000 });
  const operator = new OperatorBook();
  const world = {
    storm,
    operator,
    tenants: await settle(storm),
    cookie: await signIn(storm),
    receiver: new Receiver(storm.random.fork("receiver"), storm.journal),
    holds: new HoldBook(),
    rows: new RowBook(),
    reports: new ReportBook(),
    ticks: new TickBook(),
    harvests: new HarvestBook(),
  };
  await raise(world, FIRST_LIMIT);
  await makeTables(world);
  await world.receiver.open(storm);
  return world;
}

/** The comparison covers one UTC day. A storm that would reach its end starts after midnight. Midnight has its own tests. */
async function dayThatLasts({ seconds, patient }: Force): Promise<void> {
  const leftMs = DAY_MS - (Date.now() % DAY_MS);
  const neededMs = (seconds + (patient ? AROUND_SECONDS.patient : AROUND_SECONDS.impatient)) * SECOND_MS;
  if (leftMs < neededMs) await new Promise((resolve) => setTimeout(resolve, leftMs + SECOND_MS));
}

/** Returns when no client is active. */
export async function rage(world: World, force: Force): Promise<void> {
  const { storm } = world;
  const { random } = storm;
  const harvests = Array.from({ length: force.harvests }, (_, place) => {
    const run = new HarvestRun(storm, random.fork(`harvest ${place}`), place, force.authorsOfEach);
    world.harvests.runs.push(run);
    return guarded(storm, async () => run.toEnd());
  });
  const clients = Array.from({ length: force.clients }, (_, number) =>
    again(storm, random.fork(`client ${number}`), 150, async (own) => own.weighted(CLIENTS)(world, own)),
  );
  let rotations = 0;
  const around = [
    again(storm, random.fork("operator"), 500, async (own) => operate(world, own)),
    again(storm, random.fork("ticks"), 500, async (own) => tick(world, own)),
    again(storm, random.fork("rotor"), 2_500, async (own) => rotate(world, own, `rotation-${(rotations += 1)}`)),
    again(storm, random.fork("misbehavior"), 800, async (own) => misbehave(storm, own)),
    again(storm, random.fork("evictions"), 50, async (own) => evict(storm, own)),
    again(storm, random.fork("aborts"), 4_000, async () => breakOff(storm)),
    guarded(storm, async () => death(storm, random.fork("death"), force)),
  ];
  await storm.pause(force.seconds * SECOND_MS);
  // On a busy machine, the storm continues until there is enough to compare.
  for (let more = 0; more < force.seconds && isThin(storm, force); more += 1) await storm.pause(SECOND_MS);
  storm.ending.abort();
  await Promise.all([...clients, ...around]);
  await calm(storm);
  world.receiver.calm = true;
  await raise(world, ENOUGH);
  await Promise.all(harvests);
}

function isThin({ journal }: Storm, { kills, answers }: Force): boolean {
  const given = [...journal.answers.values()].flatMap((statuses) => [...statuses.values()]);
  return journal.figure("kills") < kills || given.reduce((sum, count) => sum + count, 0) < answers;
}

/** Repeats the work, with a random pause of up to twice the given time before each run. */
async function again(storm: Storm, random: Random, pauseMs: number, work: (random: Random) => Promise<void>): Promise<void> {
  return guarded(storm, async () => {
    while (!storm.over) {
      await storm.pause(random.whole(0, 2 * pauseMs));
      if (!storm.over) await work(random);
    }
  });
}

/** An error of the storm itself ends it, and is reported with the others. */
async function guarded(storm: Storm, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    storm.journal.fault(error instanceof Error ? (error.stack ?? error.message) : String(error));
    storm.ending.abort();
  }
}

/** At times spread evenly over the storm, each at a random point in its part. */
async function death(storm: Storm, random: Random, { kills, seconds }: Force): Promise<void> {
  const part = (seconds * SECOND_MS) / kills;
  const began = performance.now();
  for (let kill = 0; kill < kills && !storm.over; kill += 1) {
    const at = part * (kill + 0.2 + 0.7 * random.next());
    await storm.pause(Math.max(0, began + at - performance.now()));
    if (!storm.over) await storm.restart(random.whole(0, 400));
  }
}

/** Waits until no call is reserved and every open job has a scheduled retry. Then returns the work still in progress. */
export async function quiet(world: World, { patient }: Force): Promise<readonly string[]> {
  const { storm, ticks } = world;
  if (!patient) {
    await storm.ledger("UPDATE reservations SET expires_at = ? WHERE state = 'held'", Date.now() - SECOND_MS);
    // The ledger remembers when the next reservation expires.
    await storm.evict("QuotaLedger");
  }
  // After a crash, jobs that never started show no progress for a minute. Then housekeeping starts them.
  const giveUpAt = performance.now() + 180 * SECOND_MS;
  await storm.wake(Date.now());
  for (let housekeepingAt = performance.now(); ;) {
    if (performance.now() >= housekeepingAt) {
      await send(storm, ticks.next("*/5 * * * *"));
      housekeepingAt += 30 * SECOND_MS;
    }
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const left = await unfinished(storm);
    if (left.length === 0 || performance.now() > giveUpAt) return left;
  }
}

export async function close({ storm, receiver, harvests }: World): Promise<void> {
  for (const run of harvests.runs) run.clear();
  await receiver.close();
  await storm.close();
}

const APPOINTED = `j.status = 'waiting' AND EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.job_id = j.id AND d.status = 'pending' AND d.next_attempt_at > ?1)`;

async function unfinished(storm: Storm): Promise<string[]> {
  const jobs = await storm.d1<{ id: string; status: string }>(
    `SELECT j.id, j.status FROM jobs j WHERE j.ended_at IS NULL AND NOT (${APPOINTED})`,
    Date.now() + SOON_MS,
  );
  const { body } = await storm.insist("status", { path: "/api/quota/status" });
  const held = Number(body["reserved"]);
  return [...jobs.map(({ id, status }) => `${id} ${status}`), ...(held > 0 ? [`${held} held`] : [])];
}

/** The clock: ticks of every trigger, some of them twice, like platforms that deliver at least once. */
import type { Random } from "../random.ts";
import type { Storm } from "../storm.ts";

const CRONS = ["*/5 * * * *", "0 * * * *", "*/30 * * * *", "0 0 * * *"] as const;
const MINUTE_MS = 60_000;

export interface Tick {
  readonly cron: string;
  readonly time: number;
  /** Whether the tick was acknowledged. */
  heard: boolean;
}

/** The parts of a storm that this one uses. */
interface Around {
  readonly storm: Storm;
  readonly ticks: TickBook;
}

export class TickBook {
  readonly ticks: Tick[] = [];
  #minute = Math.floor(Date.now() / MINUTE_MS);

  /** Each tick has its own minute. */
  next(cron: string): Tick {
    this.#minute += 1;
    const tick = { cron, time: this.#minute * MINUTE_MS, heard: false };
    this.ticks.push(tick);
    return tick;
  }
}

export async function tick({ storm, ticks }: Around, random: Random): Promise<void> {
  const one = ticks.next(random.weighted([[CRONS[0], 3] as const, [CRONS[1], 4] as const, [CRONS[2], 2] as const, [CRONS[3], 1] as const]));
  const twice = random.weighted([["no", 50] as const, ["at once", 25] as const, ["later", 25] as const]);
  await Promise.all(twice === "at once" ? [send(storm, one), send(storm, one)] : [send(storm, one)]);
  if (twice === "later") {
    await storm.pause(random.whole(0, 2_000));
    await send(storm, one);
  }
}

/** Sends a tick to the runtime's own endpoint. A lost tick is not repeated. */
export async function send(storm: Storm, one: Tick): Promise<void> {
  const query = new URLSearchParams({ cron: one.cron, time: String(one.time), format: "json" });
  const answer = await storm.ask("tick", { path: `/cdn-cgi/local/scheduled?${query.toString()}`, token: null });
  if (answer === null) return;
  if (answer.status === 200 && answer.body["outcome"] === "ok") one.heard = true;
  else storm.journal.count("ticks that failed");
}

/**
 * Clients that call the provider themselves: they reserve, spend and commit, or release, or disappear. They repeat requests with the same
 * id until they are answered, and sometimes afterwards.
 */
import type { Random } from "../random.ts";
import type { Answer, Question, Storm } from "../storm.ts";
import type { Tenants } from "../tenants.ts";

/** So short that the reservations of lost clients expire within the storm. */
const LIFE_SECONDS = 8;

export const HAND = "storm.hand";

interface Hold {
  readonly caller: string;
  /** Granted calls. */
  readonly calls: number;
  /** Calls that reached the provider. */
  readonly spent: number;
  /** The ledger's final charge. */
  readonly charge: number;
}

/** The parts of a storm that this one uses. */
interface Around {
  readonly storm: Storm;
  readonly tenants: Tenants;
  readonly holds: HoldBook;
}

export class HoldBook {
  readonly holds = new Map<string, Hold>();
  #number = 0;

  next(): string {
    this.#number += 1;
    return `hold-${this.#number}`;
  }
}

export async function hold(world: Around, random: Random): Promise<void> {
  const { storm, tenants, holds } = world;
  const byProject = random.chance(25);
  const token = byProject ? tenants.share.key : undefined;
  const caller = byProject ? "project:share" : HAND;
  const id = holds.next();
  const settled = async (kind: string, question: Question): Promise<Answer> =>
    storm.insist(kind, token === undefined ? question : { ...question, token });

  const wanted = random.whole(1, 4);
  const life = { ttl_seconds: LIFE_SECONDS };
  const body = byProject ? { id, calls: wanted, ...life } : { id, calls: wanted, caller: HAND, ...life };
  const reserve = { method: "POST", path: "/api/quota/reservations", body };
  const granted = await settled("reserve", reserve);
  // The reservation was granted, but its response was lost. It expired before the client requested it again.
  if (granted.status === 409) holds.holds.set(id, { caller, calls: wanted, spent: 0, charge: wanted });
  if (granted.status !== 201) return;
  const calls = Number(granted.body["calls"]);
  if (random.chance(15)) {
    const again = await settled("reserve again", reserve);
    if (again.status === 201 && again.body["calls"] !== calls) storm.journal.fault(`${id}: granted ${calls}, and repeated ${again.text}`);
  }
  await storm.pause(random.whole(0, 300));

  const path = `${reserve.path}/${id}`;
  const end = random.weighted([["commit", 70] as const, ["release", 20] as const, ["forget", 10] as const]);
  if (end === "release") {
    const released = await settled("release", { method: "DELETE", path });
    // A refused release was late: the reservation had expired and was charged.
    holds.holds.set(id, { caller, calls, spent: 0, charge: released.status === 200 ? 0 : calls });
    if (released.status === 200 && random.chance(20)) {
      const again = await settled("release again", { method: "DELETE", path });
      if (again.status !== 200) storm.journal.fault(`${id}: released, and repeated ${again.status} ${again.text}`);
    }
    return;
  }
  // Nothing may be sent after the reservation has expired.
  const inTime = Date.now() < Date.parse(String(granted.body["expires_at"])) - 500;
  const spent = inTime ? (end === "forget" ? random.whole(0, calls) : random.chance(80) ? calls : random.whole(1, calls)) : 0;
  if (spent > 0) await storm.control("POST", "/spend", { calls: spent });
  storm.journal.count("spent by hand", spent);
  if (end === "forget") {
    holds.holds.set(id, { caller, calls, spent, charge: calls });
    return;
  }
  const commit = { method: "POST", path: `${path}/commit`, body: { calls: spent } };
  const committed = await settled("commit", commit);
  if (committed.status !== 200) storm.journal.fault(`${id}: commit ${committed.status} ${committed.text}`);
  const charged = Number(committed.body["charged"]);
  const late = committed.body["late"] === true;
  holds.holds.set(id, { caller, calls, spent, charge: late ? calls : spent });
  if (charged !== (late ? calls : spent)) storm.journal.fault(`${id}: spent ${spent} of ${calls}, charged ${committed.text}`);
  if (random.chance(20)) {
    const again = await settled("commit again", commit);
    if (again.body["charged"] !== charged) storm.journal.fault(`${id}: charged ${charged}, and repeated ${again.text}`);
  }
}

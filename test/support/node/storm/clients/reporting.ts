/** Services that report usage: in shuffled order, twice, and again until they are answered. An event counts once in any case. */
import type { Random } from "../random.ts";
import type { Storm } from "../storm.ts";

const PROJECT = "reported";
const MINUTE_MS = 60_000;

export interface UsageEvent {
  readonly id: string;
  readonly project_id: string;
  readonly type: "storage_uploads_per_day" | "realtime_connections" | "api_calls";
  readonly quantity: number;
  readonly mode?: "add" | "set";
  readonly source: string;
  readonly occurred_at: string;
}

interface Row {
  readonly id: string;
  readonly result: string;
}

/** The parts of a storm that reports use. */
interface Around {
  readonly storm: Storm;
  readonly reports: ReportBook;
}

export class ReportBook {
  /** Acknowledged events, each once. */
  readonly events = new Map<string, UsageEvent>();
  #number = 0;

  make(random: Random, now: number): UsageEvent {
    this.#number += 1;
    const at = new Date(Math.max(dayStart(now), now - random.whole(0, 5 * MINUTE_MS)));
    const common = { id: `event-${this.#number}`, project_id: PROJECT, source: "storm", occurred_at: at.toISOString() };
    switch (random.weighted([["upload", 6] as const, ["level", 3] as const, ["call", 2] as const])) {
      case "upload":
        return { ...common, type: "storage_uploads_per_day", quantity: random.whole(1, 3) };
      case "call":
        return { ...common, type: "api_calls", quantity: random.whole(1, 5) };
      case "level": {
        const set = random.chance(15);
        const quantity = set ? random.whole(0, 70) : random.pick([-3, -2, -1, 1, 2, 3]);
        return { ...common, type: "realtime_connections", mode: set ? "set" : "add", quantity };
      }
    }
  }
}

const dayStart = (now: number): number => now - (now % (24 * 60 * MINUTE_MS));

export async function report({ storm, reports }: Around, random: Random): Promise<void> {
  const fresh = Array.from({ length: random.whole(1, 8) }, () => reports.make(random, Date.now()));
  const known = [...reports.events.values()];
  const old = known.length > 0 && random.chance(40) ? [random.pick(known), random.pick(known)] : [];
  // Another body under a counted id: it is refused, and changes nothing.
  const forged = known.length > 0 && random.chance(10) ? [{ ...random.pick(known), quantity: 999_999 }] : [];
  const twice = random.chance(30) ? fresh.slice(0, 1) : [];
  const events = random.shuffled([...fresh, ...twice, ...old, ...forged]);
  let lost = false;
  for (;;) {
    const answer = await storm.ask("usage events", { method: "POST", path: "/api/usage/events", body: { events } });
    if (answer === null || answer.status !== 200) {
      lost = true;
      continue;
    }
    for (const event of fresh) reports.events.set(event.id, event);
    const results = answer.body["results"] as readonly Row[];
    const resultsOf = (id: string): string =>
      results
        .flatMap((row) => (row.id === id ? [row.result] : []))
        .toSorted()
        .join(" ");
    for (const { id } of fresh) {
      const expected = twice.some((event) => event.id === id) ? ["counted duplicate"] : ["counted"];
      if (lost) expected.push(expected[0]?.replace("counted", "duplicate") ?? "");
      if (!expected.includes(resultsOf(id))) storm.journal.fault(`${id}: ${resultsOf(id)}, expected ${expected.join(" or ")}`);
    }
    for (const row of results) storm.journal.count(`events ${row.result}`);
    const expectedConflicts = forged.length;
    const conflicts = results.filter(({ result }) => result === "conflict").length;
    if (conflicts !== expectedConflicts) storm.journal.fault(`${conflicts} conflicts, expected ${expectedConflicts}`);
    return;
  }
}

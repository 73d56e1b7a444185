/** The ledger's own flows: its recovery, reservations of others, what it says of itself, and what an operator does to it. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { vi } from "vitest";
import { emptyLedger, isbnNumber, post, put } from "../support/worker.ts";
import { enforcement, enforcementWithoutLedger, reset, settings, usage } from "./cells/quota-admin.ts";
import { recovery } from "./cells/recovery.ts";
import { commit, release, reserve } from "./cells/reservations.ts";
import { status, statusFromSnapshot, statusWithoutLedger } from "./cells/status.ts";
import { faultMatrix } from "./harness/index.ts";
import type { Reply, World } from "./harness/index.ts";
import { known, ledger, mirror, numberOf, today } from "./harness/untrapped.ts";
import { tell } from "./words.ts";

/** The ledger publishes at most every 5 s, and each key of KV at most once a second. */
const NEXT_SNAPSHOT_MS = 6_000;
/** An instance believes for 10 s what it read of the switch. */
const SWITCH_FORGOTTEN_MS = 11_000;

/** Beyond the number of any cell. */
const MANY = 1_000_000;

const later = (ms: number): void => void vi.setSystemTime(Date.now() + ms);

async function publish(): Promise<void> {
  later(NEXT_SNAPSHOT_MS);
  await runDurableObjectAlarm(ledger());
}

const idOf = (n: number): string => `cell-${n}`;

async function reserved(n: number): Promise<void> {
  await post("/api/quota/reservations", { calls: 1, id: idOf(n) });
}

/** What the provider counted and no caller of ours is known for; null where the ledger knows nothing. */
async function untracked(): Promise<number | null> {
  const status = await known();
  return status && (status.callers.find(({ caller }) => caller === "untracked")?.used ?? 0);
}
let unclaimed = 0;

faultMatrix({
  table: recovery,
  // What the provider counted and what the ledger charged are the same: neither may be lost.
  prepare: async () => {
    await post("/api/enrich/batch-direct", { isbns: [isbnNumber(MANY)] });
  },
  upset: async () => {
    unclaimed = (await untracked()) ?? 0;
    await publish();
    await emptyLedger(ledger());
  },
  use: async (n, { ask }) => {
    const reply = await ask("POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(n)] });
    const now = await untracked();
    const past = now === null ? "not asked for yet" : now > unclaimed ? "known as a sum" : "known by caller";
    return `${tell(reply, { enriched: "enriched", cached: "cached" })}; the past is ${past}`;
  },
});

faultMatrix({
  table: reserve,
  use: async (n, { ask }) => tell(await ask("POST", "/api/quota/reservations", { calls: 1, id: idOf(n) })),
});

faultMatrix({
  table: commit,
  arrange: reserved,
  use: async (n, { ask }) => tell(await ask("POST", `/api/quota/reservations/${idOf(n)}/commit`, {}), { charged: "charged" }),
});

faultMatrix({
  table: release,
  arrange: reserved,
  use: async (n, { ask }) => tell(await ask("DELETE", `/api/quota/reservations/${idOf(n)}`), { released: "released" }),
});

function tellStatus(reply: Reply): string {
  if (reply.status >= 400) return tell(reply);
  const grants = reply.body["can_make_calls"] === true ? "" : ", which grants nothing";
  return `${reply.status} from the ${String(reply.body["source"])}${grants}`;
}

const AWAY = { part: "ledger", at: "status" } as const;

faultMatrix({
  table: status,
  prepare: publish,
  use: async (_, { ask }) => tellStatus(await ask("GET", "/api/quota/status")),
});

faultMatrix({
  table: statusWithoutLedger,
  without: AWAY,
  prepare: publish,
  arrange: async () => later(SWITCH_FORGOTTEN_MS),
  use: async (_, { ask }) => tellStatus(await ask("GET", "/api/quota/status")),
});

faultMatrix({
  table: statusFromSnapshot,
  prepare: publish,
  use: async (_, { ask }) => tellStatus(await ask("GET", "/api/quota/status?fresh=false")),
});

/** Changes that were copied into the audit log by a use, in words. */
async function copied(use: () => Promise<string>): Promise<string> {
  const copies = async (): Promise<number> => numberOf("SELECT count(*) FROM audit_log WHERE action LIKE 'quota.%'");
  const before = await copies();
  const told = await use();
  const more = (await copies()) - before;
  return `${told}; ${more === 0 ? "no copy" : `${more} copy`} in the audit log`;
}

faultMatrix({
  table: usage,
  use: async (_, { ask }) =>
    copied(async () => {
      const before = (await today()).used;
      const reply = await ask("PUT", "/api/quota/usage", { used: before + 1 });
      return `${tell(reply)}: +${(await today()).used - before}`;
    }),
});

const enforced = async (): Promise<void> => {
  await put("/api/quota/settings", { enforcement: "enforce", background_floor: 0 });
};

const changing = async ({ ask }: World, body: object, holds: () => Promise<string>): Promise<string> => {
  const reply = await ask("PUT", "/api/quota/settings", body);
  return `${tell(reply)}${reply.status === 200 ? ` applied to the ${String(reply.body["applied_to"])}` : ""}; ${await holds()}`;
};

faultMatrix({
  table: settings,
  arrange: enforced,
  use: async (_, world) =>
    changing(world, { background_floor: 24 }, async () => {
      const { background } = await today();
      return background.floor > 0 ? "it holds there" : "nothing changed";
    }),
});

faultMatrix({
  table: enforcement,
  arrange: enforced,
  use: async (_, world) =>
    changing(world, { enforcement: "observe" }, async () => {
      const inKv = (await mirror())?.enforcement.value === "observe";
      if ((await today()).enforcement === "observe") return "it holds there";
      return inKv ? "KV has it" : "nothing changed";
    }),
});

faultMatrix({
  table: enforcementWithoutLedger,
  without: { part: "ledger", at: "changeSettings" },
  arrange: async () => {
    await enforced();
    await publish();
  },
  use: async (_, world) =>
    changing(world, { enforcement: "observe" }, async () =>
      (await mirror())?.enforcement.value === "observe" ? "KV has it" : "nothing changed",
    ),
});

faultMatrix({
  table: reset,
  arrange: async () => {
    await put("/api/quota/usage", { used: 1 });
  },
  use: async (_, { ask }) => {
    const reply = await ask("POST", "/api/quota/reset");
    return `${tell(reply)}: ${(await today()).used} used`;
  },
});

/** The ledger's own flows under faults: recovery, reservations over HTTP, status and changes by operators. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { vi } from "vitest";
import { emptyLedger, isbnNumber, post, put } from "../support/worker.ts";
import { enforcement, enforcementWithoutLedger, reset, settings, usage } from "./cells/quota-admin.ts";
import { recovery } from "./cells/recovery.ts";
import { commit, release, reserve } from "./cells/reservations.ts";
import { status, statusFromSnapshot, statusWithoutLedger } from "./cells/status.ts";
import { faultMatrix } from "./harness/index.ts";
import type { Reply, World } from "./harness/index.ts";
import { currentStatus, ledger, numberOf, settingsInKv, today } from "./harness/stores.ts";
import { resultOf } from "./words.ts";

/** The ledger publishes at most every 30 s, and reads the settings in KV at most every 61 s. */
const NEXT_SNAPSHOT_MS = 62_000;
/** An instance caches the enforcement switch for 10 s. */
const SWITCH_EXPIRED_MS = 11_000;

/** Higher than the number of any cell. */
const MANY = 1_000_000;

const later = (ms: number): void => void vi.setSystemTime(Date.now() + ms);

async function publish(): Promise<void> {
  later(NEXT_SNAPSHOT_MS);
  await runDurableObjectAlarm(ledger());
}

const idOf = (n: number): string => `cell-${n}`;

async function makeReservation(n: number): Promise<void> {
  await post("/api/quota/reservations", { calls: 1, id: idOf(n) });
}

/** Untracked calls, or null if the ledger has no data. */
async function untracked(): Promise<number | null> {
  const current = await currentStatus();
  return current && (current.callers.find(({ caller }) => caller === "untracked")?.used ?? 0);
}
let untrackedBefore = 0;

faultMatrix({
  table: recovery,
  // Counted by the provider and charged by the ledger. Neither may be lost.
  prepare: async () => {
    await post("/api/enrich/batch-direct", { isbns: [isbnNumber(MANY)] });
  },
  disturb: async () => {
    untrackedBefore = (await untracked()) ?? 0;
    await publish();
    await emptyLedger(ledger());
  },
  use: async (n, { send }) => {
    const reply = await send("POST", "/api/enrich/batch-direct", { isbns: [isbnNumber(n)] });
    const now = await untracked();
    const restored = now === null ? "not restored yet" : now > untrackedBefore ? "restored as a total" : "restored by caller";
    return `${resultOf(reply, { enriched: "enriched", cached: "cached" })}, usage ${restored}`;
  },
});

faultMatrix({
  table: reserve,
  use: async (n, { send }) => resultOf(await send("POST", "/api/quota/reservations", { calls: 1, id: idOf(n) })),
});

faultMatrix({
  table: commit,
  arrange: makeReservation,
  use: async (n, { send }) => resultOf(await send("POST", `/api/quota/reservations/${idOf(n)}/commit`, {}), { charged: "charged" }),
});

faultMatrix({
  table: release,
  arrange: makeReservation,
  use: async (n, { send }) => resultOf(await send("DELETE", `/api/quota/reservations/${idOf(n)}`), { released: "released" }),
});

function statusResult(reply: Reply): string {
  if (reply.status >= 400) return resultOf(reply);
  const grants = reply.body["can_make_calls"] === true ? "" : ", grants nothing";
  return `${reply.status} from the ${String(reply.body["source"])}${grants}`;
}

const LEDGER_STATUS = { part: "ledger", at: "status" } as const;

faultMatrix({
  table: status,
  prepare: publish,
  use: async (_, { send }) => statusResult(await send("GET", "/api/quota/status")),
});

faultMatrix({
  table: statusWithoutLedger,
  unavailable: LEDGER_STATUS,
  prepare: publish,
  arrange: async () => later(SWITCH_EXPIRED_MS),
  use: async (_, { send }) => statusResult(await send("GET", "/api/quota/status")),
});

faultMatrix({
  table: statusFromSnapshot,
  prepare: publish,
  use: async (_, { send }) => statusResult(await send("GET", "/api/quota/status?fresh=false")),
});

/** Runs a use and adds whether the change was copied into the audit log. */
async function withAudit(use: () => Promise<string>): Promise<string> {
  const copies = async (): Promise<number> => numberOf("SELECT count(*) FROM audit_log WHERE action LIKE 'quota.%'");
  const before = await copies();
  const result = await use();
  const more = (await copies()) - before;
  return `${result}, ${more === 0 ? "not audited" : more === 1 ? "audited" : `audited ${more} times`}`;
}

faultMatrix({
  table: usage,
  use: async (_, { send }) =>
    withAudit(async () => {
      const before = (await today()).used;
      const reply = await send("PUT", "/api/quota/usage", { used: before + 1 });
      return `${resultOf(reply)}: +${(await today()).used - before}`;
    }),
});

const enforce = async (): Promise<void> => {
  await put("/api/quota/settings", { enforcement: "enforce", background_floor: 0 });
};

const changeSettings = async ({ send }: World, body: object, effect: () => Promise<string>): Promise<string> => {
  const reply = await send("PUT", "/api/quota/settings", body);
  return `${resultOf(reply)}${reply.status === 200 ? ` applied to the ${String(reply.body["applied_to"])}` : ""}, ${await effect()}`;
};

faultMatrix({
  table: settings,
  arrange: enforce,
  use: async (_, world) =>
    changeSettings(world, { background_floor: 24 }, async () => {
      const { background } = await today();
      return background.floor > 0 ? "ledger changed" : "unchanged";
    }),
});

faultMatrix({
  table: enforcement,
  arrange: enforce,
  use: async (_, world) =>
    changeSettings(world, { enforcement: "observe" }, async () => {
      const inKv = (await settingsInKv())?.enforcement.value === "observe";
      if ((await today()).enforcement === "observe") return "ledger changed";
      return inKv ? "KV changed" : "unchanged";
    }),
});

faultMatrix({
  table: enforcementWithoutLedger,
  unavailable: { part: "ledger", at: "changeSettings" },
  arrange: async () => {
    await enforce();
    await publish();
    // KV would refuse another write of the settings within a second.
    later(1_000);
  },
  use: async (_, world) =>
    changeSettings(world, { enforcement: "observe" }, async () =>
      (await settingsInKv())?.enforcement.value === "observe" ? "KV changed" : "unchanged",
    ),
});

faultMatrix({
  table: reset,
  arrange: async () => {
    await put("/api/quota/usage", { used: 1 });
  },
  use: async (_, { send }) => {
    const reply = await send("POST", "/api/quota/reset");
    return `${resultOf(reply)}: ${(await today()).used} used`;
  },
});

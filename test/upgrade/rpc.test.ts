/** During a deploy, the Worker and the ledger run different releases. Grants stay exact, or the request is refused. */
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { QuotaLedger } from "../../worker/src/index.ts";
import { sent } from "../library/support.ts";
import { call, emptyLedger, freshStart, get, isbnNumber, ledger, post, quotaStatus } from "../support/worker.ts";
import { RELEASES } from "./releases.ts";
import { load } from "./support.ts";

const fresh = async (): Promise<void> => freshStart("2031-05-14T14:03:00Z");
afterEach(() => void vi.restoreAllMocks());

type Body = Record<string, unknown>;

/** Changes the ledger's answers to `method` from now on. */
function changeAnswers(method: "reserve" | "commit" | "release" | "check" | "status" | "history", of: (answer: Body) => unknown): void {
  const real = Reflect.get(QuotaLedger.prototype, method) as (...args: unknown[]) => Promise<Body>;
  vi.spyOn(QuotaLedger.prototype, method).mockImplementation(async function (this: QuotaLedger, ...args: unknown[]) {
    return of(structuredClone(await Reflect.apply(real, this, args))) as never;
  });
}

const reserve = async (body: Body = {}) => post("/api/quota/reservations", { calls: 3, ...body });
const batch = async () => post("/api/enrich/batch-direct", { isbns: [isbnNumber(1)] });
const UNAVAILABLE = { status: 503, body: { code: "quota_unavailable" } };

// One release for each form of the answers.
const FORMS = RELEASES.filter((_, index) => [0, 1, 3, RELEASES.length - 1].includes(index));

describe.each(FORMS)("with the ledger of $name", ({ rpc }) => {
  beforeEach(fresh);
  const from = (name: string): Body => rpc[name] ?? {};

  test("today's Worker grants and charges exactly the ledger's answer", async () => {
    await quotaStatus();
    changeAnswers("reserve", () => from("reserve"));
    expect(await reserve()).toMatchObject({ status: 201, body: { calls: 3, expires_at: "2031-05-14T14:04:00Z" } });
    vi.restoreAllMocks();
    changeAnswers("reserve", () => from("refused"));
    const { callsNeeded } = from("refused")["refusal"] as { callsNeeded: number };
    expect(await reserve({ calls: callsNeeded })).toMatchObject({
      status: 429,
      body: { code: "quota_exhausted", calls_needed: callsNeeded },
    });
    vi.restoreAllMocks();
    changeAnswers("commit", () => from("commit"));
    expect(await post("/api/quota/reservations/any/commit", {})).toMatchObject({ status: 200, body: { charged: 3 } });
    changeAnswers("release", () => from("release"));
    expect(await call("DELETE", "/api/quota/reservations/any")).toMatchObject({ status: 200, body: { released: 2 } });
    changeAnswers("status", () => from("status"));
    expect(await quotaStatus()).toMatchObject({ used: from("status")["used"] as number, reserved: from("status")["reserved"] as number });
    changeAnswers("check", () => from("check"));
    const releases = { start_month: "2031-01", end_month: "2031-01" };
    expect((await post("/api/books/enrich-new-releases", releases)).status).toBe(200);
    changeAnswers("history", () => from("history"));
    // The first releases had no status and no ids in the history. The Worker must not invent them.
    const { status, operations } = from("history") as { status?: unknown; operations: Body[] };
    const isComplete = status !== undefined && operations.every(({ id }) => id !== undefined);
    expect((await get("/api/quota/history")).status).toBe(isComplete ? 200 : 503);
  });
});

describe("an unreadable answer to a reservation", () => {
  // None of them sends or charges a call.
  beforeAll(fresh);

  const without = (part: string, name: string) => (answer: Body) => {
    const inner = { ...(answer[part] as Body) };
    delete inner[name];
    return { ...answer, [part]: inner };
  };
  const withOther = (part: string, change: Body) => (answer: Body) => ({ ...answer, [part]: { ...(answer[part] as Body), ...change } });
  const parts = ["id", "calls", "expiresAt", "startAt", "decidedAt", "probe"];

  test.each<[string, (answer: Body) => unknown]>([
    ...parts.map((name): [string, (answer: Body) => unknown] => [`without ${name}`, without("reservation", name)]),
    ...["date", "used", "reserved", "remaining", "enforcement"].map((name): [string, (answer: Body) => unknown] => [
      `without status.${name}`,
      without("status", name),
    ]),
    ["with calls that are not a number", withOther("reservation", { calls: "3" })],
    ["with a fraction of a call", withOther("reservation", { calls: 0.5 })],
    ["with an unknown result", (answer: Body) => ({ ...answer, result: "granted_in_part" })],
    ["that is null", () => null],
    ["with an unknown refusal", () => ({ result: "refused", refusal: { refusedBy: "moon", callsNeeded: 1, available: 0, waitMs: 1 } })],
  ])("%s gives 503, sends nothing and reserves nothing", async (_name, change) => {
    await quotaStatus();
    changeAnswers("reserve", change);
    expect(await batch()).toMatchObject(UNAVAILABLE);
    expect(await reserve()).toMatchObject(UNAVAILABLE);
    expect(await sent()).toEqual([]);
    vi.restoreAllMocks();
    // The caller does not know the id of its reservation, so the Worker releases both.
    await vi.waitFor(async () => expect(await quotaStatus()).toMatchObject({ used: 0, reserved: 0 }));
  });
});

describe("the ledger's answers", () => {
  beforeEach(fresh);

  test("unknown members are ignored", async () => {
    changeAnswers("reserve", (answer) => ({
      ...answer,
      advice: ["later"],
      reservation: { ...(answer["reservation"] as Body), tier: "gold" },
    }));
    expect(await batch()).toMatchObject({ status: 200, body: { api_calls: 1 } });
    expect(await quotaStatus()).toMatchObject({ used: 1, reserved: 0 });
  });

  test("an unreadable answer to a commit leaves the charge unchanged", async () => {
    changeAnswers("commit", (answer) => ({ ...answer, charged: null }));
    expect(await batch()).toMatchObject({ status: 200, body: { api_calls: 1 } });
    vi.restoreAllMocks();
    expect(await quotaStatus()).toMatchObject({ used: 1, reserved: 0 });
  });
});

describe("a ledger without a newer method", () => {
  beforeEach(fresh);

  test.each(["overview", "callerUse"] as const)("%s: requests continue without it", async (method) => {
    await batch();
    const { value } = Object.getOwnPropertyDescriptor(QuotaLedger.prototype, method) ?? {};
    Reflect.deleteProperty(QuotaLedger.prototype, method);
    try {
      expect((await get("/metrics")).status).toBe(200);
      expect(await batch()).toMatchObject({ status: 200 });
    } finally {
      Object.defineProperty(QuotaLedger.prototype, method, { value, configurable: true, writable: true });
    }
  });
});

describe("today's ledger, called by a Worker of another release", () => {
  beforeAll(fresh);
  const used = async (): Promise<number> => (await quotaStatus()).used;

  /** The ledger with the types of an earlier release. */
  const earlier = () => ledger() as unknown as Record<string, (...args: unknown[]) => Promise<Body>>;
  const request = { cost: { calls: 5 }, caller: "cron.harvest", priority: "background" };
  const errorOf = async (method: string, ...args: readonly unknown[]): Promise<string> => {
    try {
      return JSON.stringify(await earlier()[method]?.(...args));
    } catch (error) {
      return String(error);
    }
  };

  test("grants and charges the first release exactly", async () => {
    await quotaStatus();
    expect(await earlier()["reserve"]?.({ id: "old", ...request }, null)).toMatchObject({ result: "granted", reservation: { calls: 5 } });
    const settlement = { sent: "yes", sentAt: Date.now(), delivered: true, report: null, signal: "none", retryAfterSeconds: null };
    expect(await earlier()["commit"]?.({ id: "old", settlement })).toMatchObject({ result: "committed", charged: 5 });
    expect(await earlier()["commit"]?.({ id: "old", settlement })).toMatchObject({ result: "committed", charged: 5 });
    expect(await earlier()["check"]?.(request)).toMatchObject({ allowed: true });
    expect(await earlier()["status"]?.()).toMatchObject({ used: 5, reserved: 0 });
    expect(await earlier()["history"]?.(2)).toMatchObject({ days: [{ used: 5 }] });
  });

  test("refuses an operation without an id, because a retry could repeat it", async () => {
    const before = await used();
    expect(await errorOf("setUsage", 5_000, "admin")).toContain("cannot read");
    expect(await errorOf("reset", "admin")).toContain("cannot read");
    expect(await errorOf("changeSettings", { dailyLimit: 3_000 }, "admin")).toContain("cannot read");
    expect(await quotaStatus()).toMatchObject({ used: before, daily_limit: 15_000 });
  });

  test.each([
    ["a price of a different kind", { cost: { pages: 3 } }],
    ["no price", { cost: undefined }],
    ["a cost that is not a number", { cost: { calls: Number.NaN } }],
    ["negative calls", { cost: { calls: -5 } }],
    ["a fraction of a call", { cost: { calls: 1.5 } }],
    ["an empty batch", { cost: { batchOf: 0 } }],
    ["an unknown priority", { priority: "whenever" }],
    ["a share that is not a number", { share: "half" }],
    ["no id", { id: undefined }],
  ])("refuses a later release that sends %s", async (_name, change) => {
    const before = await used();
    expect(await errorOf("reserve", { id: "new", ...request, ...change }, null)).toContain("cannot read");
    expect(await quotaStatus()).toMatchObject({ used: before, reserved: 0 });
  });

  test("refuses a later release that sends an unknown setting", async () => {
    const before = await used();
    expect(await errorOf("changeSettings", { nightLimit: 3 }, { id: "op", actor: "admin" }, null)).toContain("cannot read");
    expect(await errorOf("add", "added", "x", -7)).toContain("cannot read");
    expect(await errorOf("commit", { id: "new", calls: -7 })).toContain("cannot read");
    expect(await quotaStatus()).toMatchObject({ used: before, daily_limit: 15_000 });
  });
});

describe.each(FORMS)("the snapshot of $name", (release) => {
  test("restores a ledger without data, and answers pollers", async () => {
    await load(release);
    const { used, reserved } = release.told.status;
    const { body } = await get("/api/quota/status?fresh=false", { token: null });
    expect(body).toMatchObject({ source: "snapshot", used, reserved });
    expect(JSON.stringify(body)).not.toContain("project:");
    await emptyLedger();
    expect(await quotaStatus()).toMatchObject({ used: used + reserved, reserved: 0, recovered: true, daily_limit: 14_000 });
    expect(await env.QUOTA_KV.get("settings:isbndb", "json")).toEqual(release.kv["settings:isbndb"]);
  });
});

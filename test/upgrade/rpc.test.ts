/** During a deploy the Worker and the ledger are of different releases: a grant is exact, or there is none. */
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { QuotaLedger } from "../../worker/src/index.ts";
import { sent } from "../library/support.ts";
import { call, emptyLedger, freshStart, get, isbnNumber, ledger, post, quotaStatus } from "../support/worker.ts";
import { RELEASES } from "./releases.ts";
import { before } from "./support.ts";

const fresh = async (): Promise<void> => freshStart("2031-05-14T14:03:00Z");
afterEach(() => void vi.restoreAllMocks());

type Body = Record<string, unknown>;

/** From now on the ledger's answers to `method` arrive like this. */
function answers(method: "reserve" | "commit" | "release" | "check" | "status" | "history", of: (answer: Body) => unknown): void {
  const real = Reflect.get(QuotaLedger.prototype, method) as (...given: unknown[]) => Promise<Body>;
  vi.spyOn(QuotaLedger.prototype, method).mockImplementation(async function (this: QuotaLedger, ...given: unknown[]) {
    return of(structuredClone(await Reflect.apply(real, this, given))) as never;
  });
}

const reserve = async (body: Body = {}) => post("/api/quota/reservations", { calls: 3, ...body });
const batch = async () => post("/api/enrich/batch-direct", { isbns: [isbnNumber(1)] });
const UNAVAILABLE = { status: 503, body: { code: "quota_unavailable" } };

// As many as there were forms of the answers.
const FORMS = RELEASES.filter((_, index) => [0, 1, 3, RELEASES.length - 1].includes(index));

describe.each(FORMS)("the ledger of $name answers", ({ rpc }) => {
  beforeEach(fresh);
  const from = (name: string): Body => rpc[name] ?? {};

  test("today's Worker, which grants and charges what it said, and no more", async () => {
    await quotaStatus();
    answers("reserve", () => from("reserve"));
    expect(await reserve()).toMatchObject({ status: 201, body: { calls: 3, expires_at: "2031-05-14T14:04:00Z" } });
    vi.restoreAllMocks();
    answers("reserve", () => from("refused"));
    expect(await reserve({ calls: 13_000 })).toMatchObject({ status: 429, body: { code: "quota_exhausted", calls_needed: 13_000 } });
    vi.restoreAllMocks();
    answers("commit", () => from("commit"));
    expect(await post("/api/quota/reservations/any/commit", {})).toMatchObject({ status: 200, body: { charged: 3 } });
    answers("release", () => from("release"));
    expect(await call("DELETE", "/api/quota/reservations/any")).toMatchObject({ status: 200, body: { released: 2 } });
    answers("status", () => from("status"));
    expect(await quotaStatus()).toMatchObject({ used: from("status")["used"] as number, reserved: from("status")["reserved"] as number });
    answers("check", () => from("check"));
    const releases = { start_month: "2031-01", end_month: "2031-01" };
    expect((await post("/api/books/enrich-new-releases", releases)).status).toBe(200);
    answers("history", () => from("history"));
    // The first ones did not say how things stand, or which operation was which: that is no zero, and no other operation.
    const { status, operations } = from("history") as { status?: unknown; operations: Body[] };
    const isWhole = status !== undefined && operations.every(({ id }) => id !== undefined);
    expect((await get("/api/quota/history")).status).toBe(isWhole ? 200 : 503);
  });
});

describe("of the ledger's answer to a reservation", () => {
  // Nothing is sent or charged by any of them.
  beforeAll(fresh);
  let held = 0;

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
    ["with a number of calls that is none", withOther("reservation", { calls: "3" })],
    ["with a fraction of a call", withOther("reservation", { calls: 0.5 })],
    ["with a result that nobody knows", (answer: Body) => ({ ...answer, result: "granted_in_part" })],
    ["with nothing at all", () => null],
    [
      "with a refusal by a rule that nobody knows",
      () => ({ result: "refused", refusal: { refusedBy: "moon", callsNeeded: 1, available: 0, waitMs: 1 } }),
    ],
  ])("one %s is no grant: 503, nothing is sent, and nothing stays held", async (_name, change) => {
    await quotaStatus();
    held += 3;
    answers("reserve", change);
    expect(await batch()).toMatchObject(UNAVAILABLE);
    expect(await reserve()).toMatchObject(UNAVAILABLE);
    expect(await sent()).toEqual([]);
    vi.restoreAllMocks();
    // What the enrichment asked for is given back; the other asked for it itself, and has not heard of it.
    await vi.waitFor(async () => expect(await quotaStatus()).toMatchObject({ used: 0, reserved: held }));
  });
});

describe("of the ledger's answers", () => {
  beforeEach(fresh);

  test("one that says more than is known here is as good as ever", async () => {
    answers("reserve", (answer) => ({ ...answer, advice: ["later"], reservation: { ...(answer["reservation"] as Body), tier: "gold" } }));
    expect(await batch()).toMatchObject({ status: 200, body: { api_calls: 1 } });
    expect(await quotaStatus()).toMatchObject({ used: 1, reserved: 0 });
  });

  test("a settlement whose answer cannot be read leaves the charge as it is", async () => {
    answers("commit", (answer) => ({ ...answer, charged: null }));
    expect(await batch()).toMatchObject({ status: 200, body: { api_calls: 1 } });
    vi.restoreAllMocks();
    expect(await quotaStatus()).toMatchObject({ used: 1, reserved: 0 });
  });
});

describe("a ledger that has a method not yet", () => {
  beforeEach(fresh);

  test.each(["overview", "callerUse"] as const)("%s: what needs it does without, or says so", async (method) => {
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

describe("a Worker of another release asks today's ledger", () => {
  beforeAll(fresh);
  const used = async (): Promise<number> => (await quotaStatus()).used;

  /** As declared then: without what came later. */
  const then = () => ledger() as unknown as Record<string, (...given: unknown[]) => Promise<Body>>;
  const asked = { cost: { calls: 5 }, caller: "cron.harvest", priority: "background" };
  const complaint = async (method: string, ...given: readonly unknown[]): Promise<string> => {
    try {
      return JSON.stringify(await then()[method]?.(...given));
    } catch (error) {
      return String(error);
    }
  };

  test("of the first release, and is granted and charged exactly", async () => {
    await quotaStatus();
    expect(await then()["reserve"]?.({ id: "old", ...asked }, null)).toMatchObject({ result: "granted", reservation: { calls: 5 } });
    const settlement = { sent: "yes", sentAt: Date.now(), delivered: true, report: null, signal: "none", retryAfterSeconds: null };
    expect(await then()["commit"]?.({ id: "old", settlement })).toMatchObject({ result: "committed", charged: 5 });
    expect(await then()["commit"]?.({ id: "old", settlement })).toMatchObject({ result: "committed", charged: 5 });
    expect(await then()["check"]?.(asked)).toMatchObject({ allowed: true });
    expect(await then()["status"]?.()).toMatchObject({ used: 5, reserved: 0 });
    expect(await then()["history"]?.(2)).toMatchObject({ days: [{ used: 5 }] });
  });

  test("one that says no more of an operation than who an operator is changes nothing, for nobody could tell it from its retry", async () => {
    const before = await used();
    expect(await complaint("setUsage", 5_000, "admin")).toContain("cannot read");
    expect(await complaint("reset", "admin")).toContain("cannot read");
    expect(await complaint("changeSettings", { dailyLimit: 3_000 }, "admin")).toContain("cannot read");
    expect(await quotaStatus()).toMatchObject({ used: before, daily_limit: 15_000 });
  });

  test.each([
    ["a price of another kind", { cost: { pages: 3 } }],
    ["no price", { cost: undefined }],
    ["a number that is none", { cost: { calls: Number.NaN } }],
    ["calls below zero", { cost: { calls: -5 } }],
    ["a part of a call", { cost: { calls: 1.5 } }],
    ["a batch of nothing", { cost: { batchOf: 0 } }],
    ["an urgency that nobody knows", { priority: "whenever" }],
    ["a share that is no number", { share: "half" }],
    ["no id", { id: undefined }],
  ])("a later one, with %s, is granted nothing", async (_name, change) => {
    const before = await used();
    expect(await complaint("reserve", { id: "new", ...asked, ...change }, null)).toContain("cannot read");
    expect(await quotaStatus()).toMatchObject({ used: before, reserved: 0 });
  });

  test("a later one, with a setting that is not known yet, is not told that it was changed", async () => {
    const before = await used();
    expect(await complaint("changeSettings", { nightLimit: 3 }, { id: "op", actor: "admin" }, null)).toContain("cannot read");
    expect(await complaint("add", "added", "x", -7)).toContain("cannot read");
    expect(await complaint("commit", { id: "new", calls: -7 })).toContain("cannot read");
    expect(await quotaStatus()).toMatchObject({ used: before, daily_limit: 15_000 });
  });
});

describe.each(FORMS)("the snapshot of $name", (release) => {
  test("is what a lost ledger begins with, what was held counting as spent, and what pollers see", async () => {
    await before(release);
    const { used, reserved } = release.told.status;
    const { body } = await get("/api/quota/status?fresh=false", { token: null });
    expect(body).toMatchObject({ source: "snapshot", used, reserved });
    expect(JSON.stringify(body)).not.toContain("project:");
    await emptyLedger();
    expect(await quotaStatus()).toMatchObject({ used: used + reserved, reserved: 0, recovered: true, daily_limit: 14_000 });
    expect(await env.QUOTA_KV.get("settings:isbndb", "json")).toEqual(release.kv["settings:isbndb"]);
  });
});

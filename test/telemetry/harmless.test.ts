/** Telemetry must never change a response, send anything when it is off, or contain a secret. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { exportCounts } from "../../worker/src/telemetry/index.ts";
import { callWith, postWith } from "../routes/support.ts";
import { answersRepeatWhatWasSent } from "../support/secret-watch.ts";
import { ADMIN_TOKEN, freshStart, isbnNumber, simulator } from "../support/worker.ts";
import { organization, tenant } from "../support/tenants/keys.ts";
import { GIVEN, ON, collector, logged } from "./support.ts";

beforeEach(async () => freshStart());
afterEach(() => void vi.restoreAllMocks());

const admin = { authorization: `Bearer ${ADMIN_TOKEN}` };
const json = { ...admin, "content-type": "application/json" };

/** Longer than an unwanted export would take. */
const aWhile = async (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));

describe("a collector in trouble", () => {
  const trouble: [string, () => Promise<Response> | Response][] = [
    ["is down", async () => Promise.reject(new TypeError("Network connection lost."))],
    ["answers 500", () => new Response("oops", { status: 500 })],
    ["answers garbage", () => new Response("<html>")],
  ];

  const work = async (changed: Record<string, unknown>) => {
    const { status, body } = await postWith(changed, "/api/enrich/batch-direct", {
      isbns: [isbnNumber(1)],
      refresh: true,
      include: "books",
    });
    const { duration_ms: _, quota: __, books, ...rest } = body;
    return { status, rest, books: (books as { isbn13: string }[]).map(({ isbn13 }) => isbn13) };
  };

  test.each(trouble)("that %s: the answer is the same, and a counter goes up", async (_, answer) => {
    logged();
    const expected = await work({});
    collector(answer);
    const before = exportCounts();
    expect(await work(ON)).toEqual(expected);
    await vi.waitFor(() => expect(exportCounts().exports_failed).toBe(before.exports_failed + 1));
    expect(exportCounts().spans_lost).toBe(before.spans_lost + 5);
  });

  test("that hangs: the answer is there while it still hangs", async () => {
    const expected = await work({});
    let release = (): void => undefined;
    const hanging = new Promise<Response>((resolve) => {
      release = () => resolve(Response.json({}));
    });
    const { requests } = collector(async () => hanging);
    expect(await work(ON)).toEqual(expected);
    await vi.waitFor(() => expect(requests).toHaveLength(1));
    release();
  });
});

describe("telemetry that is off", () => {
  test("sends nothing to a collector, for any traceparent of the caller", async () => {
    const { requests } = collector();
    const off = { ...ON, OTEL_ENABLED: "false" };
    await callWith(off, "/health", { headers: { traceparent: GIVEN } });
    await postWith(off, "/api/enrich/batch-direct", { isbns: [isbnNumber(1)] });
    await aWhile();
    expect(requests).toEqual([]);
  });
});

describe("secrets", () => {
  test("are in no trace, however they are used, misused and quoted", async () => {
    logged();
    await organization("acme");
    const { key } = await tenant("p1", "acme");
    const PROVIDER_KEY = "simulator-key";
    const PEPPER = "test-key-pepper-0123456789";
    const { bodies, spans } = collector();
    const secrets = [ADMIN_TOKEN, key, PROVIDER_KEY, PEPPER];
    for (const secret of secrets) {
      for (const authorization of [`Bearer ${secret}`, secret, `Basic ${btoa(`me:${secret}`)}`]) {
        await callWith(ON, `/api/projects/${secret}/usage?token=${secret}`, { headers: { authorization, "x-request-id": secret } });
        const headers = { ...json, authorization, "x-request-id": secret, traceparent: secret, "user-agent": secret, cookie: secret };
        const isbns = JSON.stringify({ isbns: [isbnNumber(1), secret], refresh: true });
        await callWith(ON, "/api/enrich/batch-direct", { method: "POST", headers, body: isbns });
      }
      const label = { isbns: [isbnNumber(1)], refresh: true, caller: secret };
      await postWith(ON, "/api/enrich/batch-direct", label);
      await postWith(ON, "/api/quota/reservations", { calls: 1, caller: secret, id: secret });
      await postWith(ON, `/api/quota/reservations/${secret}/commit`, {});
      await postWith(ON, "/api/authors/enrich-bibliography", { author_name: secret });
      await simulator.control("POST", "/faults", { kind: "status", status: 403, body: { message: `the key ${secret} may not` } });
      await postWith(ON, "/api/enrich/batch-direct", { isbns: [isbnNumber(1)], refresh: true });
    }
    await callWith({ ...ON, DB: failing(`not with ${secrets.join()}`) }, "/api/books/9780140328721", { headers: admin });
    await callWith({ ...ON, QUOTA_LEDGER: { getByName: failing(secrets.join()).prepare } }, "/api/quota/reservations", {
      method: "POST",
      headers: json,
      body: JSON.stringify({ calls: 1 }),
    });
    await spans(100);
    await aWhile();
    const leaked = secrets.filter((secret) => bodies.some((text) => text.includes(secret) || text.includes(btoa(`me:${secret}`))));
    expect(leaked).toEqual([]);
    answersRepeatWhatWasSent();
    // The id in a key is not a secret, and identifies its owner.
    expect(bodies.join()).toContain(key.slice(0, 18));
  });

  const failing = (message: string) => ({
    prepare: () => {
      throw new Error(message);
    },
  });
});

/** Memory: how many large answers are processed at a time, and in which pieces they are stored. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { withRoom } from "../../worker/src/library/large-answers.ts";
import { postWith } from "../routes/support.ts";
import { watchedDb } from "../support/tenants/keys.ts";
import { freshStart, isbns, post, quotaStatus, simulator } from "../support/worker.ts";
import { countRows } from "./support.ts";

const LARGE = 101;
const largeFor = (caller = "a") => ({ caller, records: LARGE });
const clock = () => Date.now();
const pass = async (ms: number): Promise<void> => {
  vi.setSystemTime(Date.now() + ms);
  // Lets the other tasks run.
  await new Promise((resolve) => setTimeout(resolve, 0));
};

beforeEach(async () => {
  await freshStart();
  await simulator.control("PUT", "/settings", { unknown_percent: 0 });
});
afterEach(() => void vi.restoreAllMocks());

/** Work that lasts until `end` is called. */
function work() {
  const { promise, resolve } = Promise.withResolvers<void>();
  const begin = vi.fn<() => Promise<string>>(async () => {
    await promise;
    return "done";
  });
  return { begin, end: resolve };
}

describe("large answers", () => {
  test("are processed two at a time, and small ones immediately", async () => {
    const [first, second, third, small] = [work(), work(), work(), work()];
    const running = [first, second, third].map(async ({ begin }) => withRoom({ clock }, largeFor(), begin, pass));
    small.end();
    expect(await withRoom({ clock }, { caller: "a", records: LARGE - 1 }, small.begin, pass)).toBe("done");
    expect(third.begin).not.toHaveBeenCalled();
    second.end();
    await expect.poll(() => third.begin.mock.calls.length).toBe(1);
    first.end();
    third.end();
    expect(await Promise.all(running)).toEqual(["done", "done", "done"]);
  });

  test("of one caller do not keep another one waiting", async () => {
    const hog = Array.from({ length: 12 }, () => work());
    const running = hog.map(async ({ begin }) => withRoom({ clock }, largeFor("hog"), begin, pass));
    const other = work();
    running.push(withRoom({ clock }, largeFor("other"), other.begin, pass));
    const begun = () => hog.filter(({ begin }) => begin.mock.calls.length > 0).length;
    expect([begun(), other.begin.mock.calls.length]).toEqual([2, 0]);
    hog[0]?.end();
    await expect.poll(() => begun() + other.begin.mock.calls.length).toBe(3);
    expect(other.begin).toHaveBeenCalledOnce();
    other.end();
    for (const { end } of hog) end();
    expect(await Promise.all(running)).toHaveLength(13);
  });

  test("of a request that the platform ended do not keep others waiting", async () => {
    const [first, second, third] = [work(), work(), work()];
    const running = [first, second].map(async ({ begin }) => withRoom({ clock }, largeFor(), begin, pass));
    void withRoom({ clock }, largeFor("gone"), work().begin, async () => new Promise<void>(() => undefined));
    running.push(withRoom({ clock }, largeFor(), third.begin, pass));
    first.end();
    await expect.poll(() => third.begin.mock.calls.length).toBe(1);
    second.end();
    third.end();
    expect(await Promise.all(running)).toHaveLength(3);
  });

  test("leave their room after a failure", async () => {
    for (let n = 0; n < 3; n += 1) {
      await expect(withRoom({ clock }, largeFor(), async () => Promise.reject(new Error("no")), pass)).rejects.toThrow("no");
    }
  });

  test("that wait too long are refused before anything is reserved, and a lost one frees its room after minutes", async () => {
    const [first, second, third] = [work(), work(), work()];
    const running = [first, second].map(async ({ begin }) => withRoom({ clock }, largeFor(), begin, pass));
    const began = Date.now();
    await expect(withRoom({ clock }, largeFor(), third.begin, pass)).rejects.toMatchObject({
      code: "pace_exceeded",
      members: { calls_charged: 0 },
      retryAfterSeconds: 5,
    });
    expect(Date.now() - began).toBeGreaterThanOrEqual(12_000);
    expect(Date.now() - began).toBeLessThan(20_000);
    vi.setSystemTime(began + 3 * 60_000);
    third.end();
    expect(await withRoom({ clock }, largeFor(), third.begin, pass)).toBe("done");
    first.end();
    second.end();
    await Promise.all(running);
  });

  test("of concurrent requests are requested from the provider two at a time", async () => {
    await simulator.control("PUT", "/settings", { latency_ms: 200 });
    const real = globalThis.fetch;
    const [large, small] = [
      { now: 0, most: 0 },
      { now: 0, most: 0 },
    ];
    vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
      const kind = (input instanceof Request ? input.url : String(input)).includes(`pageSize=${LARGE}`) ? large : small;
      kind.now += 1;
      kind.most = Math.max(kind.most, kind.now);
      try {
        return await real(input, init);
      } finally {
        kind.now -= 1;
      }
    });
    const sizes = [...Array.from({ length: 5 }, () => LARGE), ...Array.from({ length: 5 }, () => 10)];
    const answers = await Promise.all(
      sizes.map(async (page_size, index) =>
        postWith({}, "/api/authors/enrich-bibliography", { author_name: `Author ${index}`, page_size, max_pages: 1 }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(sizes.map(() => 200));
    expect(large.most).toBe(2);
    expect(small.most).toBeGreaterThan(2);
    expect(await quotaStatus()).toMatchObject({ reserved: 0 });
  });
});

describe("the books of a large answer", () => {
  test("are stored a hundred at a time", async () => {
    const { db, trips } = watchedDb(() => null, env.CATALOG);
    expect((await postWith({ CATALOG: db }, "/api/enrich/batch-direct", { isbns: isbns(1, 250) })).status).toBe(200);
    expect(trips.filter((trip) => trip.some((sql) => sql.includes("INSERT INTO books")))).toHaveLength(3);
    expect(await countRows("books")).toBe(250);
  });

  test("are counted once per author, also when they are stored again", async () => {
    await simulator.control("PUT", "/settings", { authors: { "Ines Sieben": 250 } });
    const enrich = async (more: object) => post("/api/authors/enrich-bibliography", { author_name: "Ines Sieben", ...more });
    expect((await enrich({})).body).toMatchObject({ enriched: 250, already_existed: 0 });
    expect((await enrich({ refresh: true })).body).toMatchObject({ enriched: 0, already_existed: 250 });
    expect(await countRows("books")).toBe(250);
    expect(await countRows("authors WHERE author_key = 'ines sieben' AND edition_count = 250")).toBe(1);
  });
});

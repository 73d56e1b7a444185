/** D1 allows 1,000 statements per invocation. Long work stops in time and says where to continue. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { env } from "cloudflare:workers";
import { CountedDatabase } from "../../worker/src/store/statements.ts";
import { freshStart, isbns, post, quotaStatus, simulator } from "../support/worker.ts";
import { fault, sent } from "./support.ts";

const MAX_STATEMENTS = 1_000;

beforeEach(async () => freshStart());
afterEach(() => void vi.restoreAllMocks());

/** The statements of one request, counted by the bindings themselves. Each of a batch counts. */
function countStatements() {
  const counts = { now: 0 };
  for (const db of [env.DB, env.CATALOG]) {
    const prepare = db.prepare.bind(db);
    vi.spyOn(db, "prepare").mockImplementation((sql) => {
      counts.now += 1;
      return prepare(sql);
    });
  }
  return {
    async of<Answer>(work: () => Promise<Answer>): Promise<{ readonly statements: number; readonly answer: Answer }> {
      counts.now = 0;
      const answer = await work();
      return { statements: counts.now, answer };
    },
  };
}

test("the count includes the statements of a batch", async () => {
  const db = new CountedDatabase(env.DB);
  const statements = Array.from({ length: 799 }, () => db.prepare("SELECT 1 AS one"));
  await db.batch(statements);
  expect({ statements: db.statements, isUsedUp: db.isUsedUp }).toEqual({ statements: 799, isUsedUp: false });
  expect(await db.prepare("SELECT 1 AS one").first("one")).toBe(1);
  expect({ statements: db.statements, isUsedUp: db.isUsedUp }).toEqual({ statements: 800, isUsedUp: true });
});

describe("within the limit", () => {
  test("a batch of a thousand known books is stored", async () => {
    const count = countStatements();
    const all = isbns(1, 1_000);
    const first = await count.of(async () => post("/api/enrich/batch-direct", { isbns: all }));
    const again = await count.of(async () => post("/api/enrich/batch-direct", { isbns: all, refresh: true }));
    expect([first.answer.status, again.answer.status]).toEqual([200, 200]);
    expect(Math.max(first.statements, again.statements)).toBeLessThan(100);
  });

  test("new releases stop, and the next request continues without fetching a page twice", async () => {
    const data = isbns(1, 2).map((isbn13) => ({ isbn13, title: "New", authors: ["Ines Sieben"] }));
    await fault({ kind: "status", status: 200, times: 1_000, path: "/search/books", body: { total: 2, data } });
    const subjects = Array.from({ length: 6 }, (_, n) => `Subject ${n}`);
    const question = { start_month: "2024-01", end_month: "2025-12", subjects, skip_existing: false };
    const count = countStatements();
    let resume: string | undefined;
    let requests = 0;
    do {
      const { statements, answer } = await count.of(async () =>
        post<{ resume?: string; complete: boolean }>("/api/books/enrich-new-releases", { ...question, ...(resume ? { resume } : {}) }),
      );
      expect(answer.status).toBe(200);
      expect(statements).toBeLessThan(MAX_STATEMENTS);
      expect(answer.body.complete).toBe(answer.body.resume === undefined);
      ({ resume } = answer.body);
      requests += 1;
    } while (resume !== undefined);
    expect(requests).toBeGreaterThan(1);
    const pages = (await sent()).map(({ path }) => path);
    expect({ pages: pages.length, distinct: new Set(pages).size }).toEqual({ pages: 144, distinct: 144 });
    expect(await quotaStatus()).toMatchObject({ used: 144, reserved: 0 });
  });

  test("a bibliography stops, and the next request continues at the next page", async () => {
    await simulator.control("PUT", "/settings", { authors: { "Ines Sieben": 1_000 } });
    const enrich = async (more: object) =>
      post<{ complete: boolean; next_page?: number }>("/api/authors/enrich-bibliography", {
        author_name: "Ines Sieben",
        page_size: 10,
        max_pages: 100,
        ...more,
      });
    expect((await enrich({})).body).toMatchObject({ complete: true, api_calls: 100 });
    const { statements, answer } = await countStatements().of(async () => enrich({ refresh: true }));
    expect(statements).toBeLessThan(MAX_STATEMENTS);
    expect(answer.body).toMatchObject({ complete: false, errors: [] });
    expect(answer.body.next_page).toBeGreaterThan(80);
    expect((await enrich({})).body).toMatchObject({ complete: true, cached: false });
    expect(await quotaStatus()).toMatchObject({ used: 200 });
  });

  test("a harvest stops, and the next run continues", async () => {
    await post("/api/harvest/targets", { authors: Array.from({ length: 70 }, (_, n) => `Author ${n}`) });
    const run = async () => post<{ targets: number; stopped: string }>("/api/harvest/run", { max_seconds: 60 });
    const { statements, answer } = await countStatements().of(run);
    expect(statements).toBeLessThan(MAX_STATEMENTS);
    expect(answer.body.stopped).toBe("enough_for_one_run");
    const { body } = await run();
    expect(body).toMatchObject({ targets: 70 - answer.body.targets, stopped: "nothing_due" });
  });
});

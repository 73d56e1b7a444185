import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, test } from "vitest";
import { jsonChunks } from "../../worker/src/store/database.ts";
import { fault } from "../library/support.ts";
import { freshStart, get, isbns, post } from "../support/worker.ts";

const CHUNK_CHARACTERS = 400_000;

describe("lists as JSON parameters", () => {
  test.each([
    ["nothing", []],
    ["one row", [{ a: 1 }]],
    ["rows of all kinds", [1, "two", null, { three: ["3"] }, 'quote " and \u2028']],
    ["many rows", Array.from({ length: 5_000 }, (_, index) => ({ index, text: "x".repeat(200) }))],
  ])("%s: all rows are kept in their order", (_, rows) => {
    expect(jsonChunks(rows).flatMap((chunk) => JSON.parse(chunk) as unknown[])).toEqual(rows);
  });

  test("chunks are as large as allowed, and no larger", () => {
    const chunks = jsonChunks(Array.from({ length: 1_000 }, () => "x".repeat(998)));
    expect(chunks.map((chunk) => (JSON.parse(chunk) as unknown[]).length)).toEqual([400, 400, 200]);
  });

  test("a row that is larger than a chunk has its own", () => {
    const large = "x".repeat(CHUNK_CHARACTERS + 1);
    expect(jsonChunks(["a", large, "b"])).toEqual(['["a"]', `["${large}"]`, '["b"]']);
  });
});

describe("a batch of a thousand large books", () => {
  beforeAll(async () => freshStart());

  test("is stored completely, with every author counted once", async () => {
    const wanted = isbns(0, 1_000);
    const data = wanted.map((isbn13, index) => ({
      isbn13,
      title: `Volume ${index}`,
      authors: ["One For All", `Author ${index % 10}`],
      synopsis: "“Word” ".repeat(300),
    }));
    await fault({ kind: "status", status: 200, path: "/books", body: { total: data.length, data } });
    const { body } = await post("/api/enrich/batch-direct", { isbns: wanted });
    expect(body).toMatchObject({ found: 1_000, enriched: 1_000, failed: [] });
    const { body: top } = await get<{ authors: { author_name: string; edition_count: number }[] }>("/api/authors/top");
    expect(top.authors.map(({ edition_count }) => edition_count)).toEqual([1_000, ...Array.from({ length: 10 }, () => 100)]);
    const links = await env.CATALOG.prepare("SELECT count(*) AS n FROM book_authors").first<number>("n");
    expect(links).toBe(2_000);
  });
});

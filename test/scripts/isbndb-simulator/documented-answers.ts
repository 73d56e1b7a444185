import { describe, expect, test } from "vitest";
import type { z } from "zod";
import * as schemas from "./provider-schemas.ts";
import { isbns, startSimulator } from "./support.ts";

const simulator = startSimulator();

const EXAMPLES: readonly [path: string, status: number, schema: z.ZodType][] = [
  ["/book/9780132350884", 200, schemas.bookResponse],
  ["/book/0-13-235088-2", 200, schemas.bookResponse],
  ["/book/9780306406157", 200, schemas.bookResponse],
  ["/book/9780306406158", 404, schemas.errorResponse],
  ["/search/books?publishedFrom=2021-05&publishedTo=2021-05&pageSize=1000", 200, schemas.searchResponse],
  ["/search/books?publishedFrom=2021&publishedTo=2021&subject=Physics", 200, schemas.searchResponse],
  ["/search/books?publishedFrom=2021-05&publishedTo=2021-05&subject=zzzz", 200, schemas.searchResponse],
  ["/search/books?publishedFrom=May", 400, schemas.errorResponse],
  ["/search/books?publishedFrom=2021&colour=red", 400, schemas.errorResponse],
  ["/author/Brandon%20Sanderson", 200, schemas.authorResponse],
  ["/author/Ada%20Abbott?page=2&pageSize=5", 200, schemas.authorResponse],
  ["/author/Nobody%20At%20All", 404, schemas.errorResponse],
  ["/key", 200, schemas.keyResponse],
  ["/publishers/x", 404, schemas.errorResponse],
];

describe("the 2026 dialect matches the provider's documentation", () => {
  test.for(EXAMPLES)("GET %s returns %i in the documented shape", async ([path, status, schema]) => {
    const reply = await simulator.get(path);
    expect(reply.status).toBe(status);
    expect(schema.parse(reply.json())).toEqual(reply.json());
  });

  test("POST /books omits unknown ISBNs and returns the number of requested ones", async () => {
    const reply = await simulator.batch([...isbns(300), "not an ISBN", 9780132350884]);
    const { requested, total, data } = schemas.bulkResponse.parse(reply.json());
    expect({ requested, total }).toEqual({ requested: 302, total: data.length });
    expect(total).toBeGreaterThan(270);
    expect(total).toBeLessThan(301);
  });

  test("POST /books accepts a form", async () => {
    const reply = await simulator.form("/books", { isbns: "9780132350884,9780553382563" }, { authorization: "simulator-key" });
    const { data } = schemas.bulkResponse.parse(reply.json());
    expect(data.map(({ title }) => title)).toEqual(["Clean Code: A Handbook of Agile Software Craftsmanship", "I, Robot"]);
  });

  test("POST /books with a different type of body is refused with 415", async () => {
    const reply = await simulator.request("POST", "/books", {
      body: "9780132350884",
      headers: { authorization: "simulator-key", "content-type": "text/plain" },
    });
    expect(reply.status).toBe(415);
    expect(schemas.errorResponse.safeParse(reply.json()).success).toBe(true);
  });

  test("a batch above the maximum of the plan is refused", async () => {
    await simulator.set({ max_batch: 10 });
    expect((await simulator.batch(isbns(10))).status).toBe(200);
    expect((await simulator.batch(isbns(11))).json()).toEqual({
      message: "isbns must name at most 10 ISBNs on this plan, not 11",
      error_message: "isbns must name at most 10 ISBNs on this plan, not 11",
    });
  });

  test("a path parameter may have 150 characters, but not 151", async () => {
    expect((await simulator.get(`/author/${"x".repeat(150)}`)).status).toBe(200);
    expect((await simulator.get(`/author/${"x".repeat(151)}`)).status).toBe(400);
  });

  test("requests without a key, with a wrong key or with a scheme return 401", async () => {
    for (const headers of [{}, { authorization: "wrong" }, { authorization: "Bearer simulator-key" }]) {
      const reply = await simulator.request("GET", "/key", { headers });
      expect(reply.status).toBe(401);
      expect(reply.json()).toMatchObject({ message: "Full authentication is required to access this resource" });
    }
  });
});

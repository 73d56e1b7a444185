import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { freshStart, get } from "../../support/worker.ts";
import { allPages, makeOrganization, makeProject, refusal, remove, right, stop } from "../../support/tenants/http.ts";
import type { Body } from "../../support/tenants/http.ts";

const NOW = Date.parse("2031-05-14T14:03:11Z");

async function begin(): Promise<void> {
  await freshStart();
  await makeOrganization("org");
}

interface Row {
  readonly id: string;
  readonly name: string;
}

/** Adds rows. `at` is the time of a row relative to now, in milliseconds. */
async function fill(table: "organizations" | "projects", ids: readonly string[], at: (index: number) => number): Promise<void> {
  const members = JSON.stringify(ids.map((id, index) => ({ id, at: NOW + at(index) })));
  const extra = table === "projects" ? ["organization_id, ", "'org', "] : ["billing_anchor, ", "0, "];
  await env.DB.prepare(
    `INSERT INTO ${table} (id, ${extra[0] ?? ""}name, changed_by, created_at, updated_at)
     SELECT value ->> 'id', ${extra[1] ?? ""}value ->> 'id', 'test', value ->> 'at', value ->> 'at' FROM json_each(?)`,
  )
    .bind(members)
    .run();
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, n) => `p${String(n).padStart(3, "0")}`);
const ids = (rows: readonly Row[]): string[] => rows.map(({ id }) => id);
const found = async (query: string): Promise<string[]> =>
  ids(right(await get<{ projects: Row[] }>(`/api/projects?${query}`)).projects).toSorted();
const organizations = async (query: string): Promise<string[]> =>
  ids(right(await get<{ organizations: Row[] }>(`/api/organizations?${query}`)).organizations).toSorted();

describe.each(["projects", "organizations"] as const)("the list of %s, page by page", (table) => {
  const rowsOf = (body: Body): Row[] => body[table] as Row[];

  beforeEach(async () => {
    await begin();
    if (table === "organizations")
      await env.DB.batch(["billing_periods", "organizations"].map((name) => env.DB.prepare(`DELETE FROM ${name}`)));
  });

  test.each([
    [23, 1],
    [115, 7],
    [230, 50],
    [230, 200],
  ])("returns %i rows of one time once each, %i at a time", async (rows, limit) => {
    await fill(table, numbered(rows), () => 0);
    const { found: all, pages } = await allPages(`/api/${table}?limit=${limit}`, rowsOf);
    expect(ids(all)).toEqual(numbered(rows).toReversed());
    expect(pages).toBe(Math.ceil(rows / limit));
  });

  test("returns the newest first, and compares the bytes of ids created at the same time", async () => {
    await fill(table, ["b", "B", "a", "_", "-", "9", "z"], (n) => (n === 6 ? -1 : 0));
    const { found: all } = await allPages(`/api/${table}?limit=2`, rowsOf);
    expect(ids(all)).toEqual(["b", "a", "_", "B", "9", "-", "z"]);
  });

  test("skips and repeats nothing while rows are added and removed", async () => {
    await fill(table, numbered(100), (n) => Math.floor(n / 30));
    const { found: all } = await allPages(`/api/${table}?limit=10`, rowsOf, async (page) => {
      await fill(table, [`new${page}`], () => 1_000 + page);
      // One that was returned, the last one of the page, and one that is still to be returned.
      const gone = [`p${99 - page * 10 + 5}`, `p${String(100 - page * 10).padStart(3, "0")}`, "p003"];
      await env.DB.prepare(`DELETE FROM ${table} WHERE id IN (SELECT value FROM json_each(?))`).bind(JSON.stringify(gone)).run();
    });
    expect(ids(all)).toEqual(
      numbered(100)
        .toReversed()
        .filter((id) => id !== "p003"),
    );
  });

  test("that is empty is one empty page", async () => {
    expect((await get(`/api/${table}`)).body).toEqual({ [table]: [], next_cursor: null });
  });

  test("has a next page only if there are more rows", async () => {
    await fill(table, numbered(4), (n) => n);
    expect((await get(`/api/${table}?limit=4`)).body["next_cursor"]).toBeNull();
    expect((await get(`/api/${table}?limit=3`)).body["next_cursor"]).toEqual(expect.any(String));
  });
});

const cursorOf = (value: unknown): string => btoa(JSON.stringify(value)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

describe.each(["projects", "organizations"])("the list of %s", (table) => {
  beforeAll(begin);

  test.each(["0", "201", "-1", "1.5", "", "all", "1e2", "0x10", "%201"])("limit=%s: 400", async (limit) => {
    expect(refusal(await get(`/api/${table}?limit=${limit}`))).toEqual({ status: 400, code: "invalid_request", paths: ["limit"] });
  });
});

describe("an altered cursor: 400", () => {
  beforeAll(async () => {
    await begin();
    await makeProject("mine");
  });

  const DAMAGED = [
    "",
    "x",
    "!!",
    "%00",
    "AAAA",
    cursorOf(null),
    cursorOf({}),
    cursorOf([]),
    cursorOf("x"),
    cursorOf([1]),
    cursorOf([1, 2]),
  ];

  test.each([...DAMAGED, cursorOf(7), cursorOf(["1", "a"]), cursorOf([1.5, "a"]), cursorOf([1, "a", 2]), cursorOf([1e300, "a"])])(
    "%j, of a list by time",
    async (cursor) => {
      for (const list of ["projects", "organizations"]) {
        expect(refusal(await get(`/api/${list}?cursor=${cursor}`))).toEqual({ status: 400, code: "invalid_request", paths: ["cursor"] });
      }
    },
  );

  test.each([...DAMAGED, cursorOf([1, "a"]), cursorOf(-1), cursorOf(1.5), cursorOf("7"), cursorOf(1e300)])(
    "%j, of a list by number",
    async (cursor) => {
      for (const list of ["audit", "projects/mine/evaluations", "projects/mine/suspensions"]) {
        expect(refusal(await get(`/api/${list}?cursor=${cursor}`))).toEqual({ status: 400, code: "invalid_request", paths: ["cursor"] });
      }
    },
  );

  test("or one that is too long", async () => {
    expect(refusal(await get(`/api/projects?cursor=${"A".repeat(401)}`))).toMatchObject({ status: 400, paths: ["cursor"] });
  });
});

describe("filters", () => {
  beforeEach(begin);

  test("by status: SUSPENDED is an active project with an open reason, and deleted ones need a filter", async () => {
    for (const id of ["active", "stopped", "over", "archived", "deleted"]) await makeProject(id);
    await stop("stopped", "admin");
    await stop("over", "quota:db_queries_per_day", NOW);
    await stop("archived", "admin");
    right(await remove("/api/projects/archived"));
    right(await remove("/api/projects/deleted?permanent=true"));
    expect(await found("")).toEqual(["active", "archived", "over", "stopped"]);
    expect(await found("status=ACTIVE")).toEqual(["active", "over"]);
    expect(await found("status=SUSPENDED")).toEqual(["stopped"]);
    expect(await found("status=ARCHIVED")).toEqual(["archived"]);
    expect(await found("status=DELETED")).toEqual(["deleted"]);
  });

  test("by organization, and by all filters together", async () => {
    await makeOrganization("two");
    await makeProject("a");
    await makeProject("b", { organization_id: "two", name: "Books" });
    await makeProject("c", { organization_id: "two", name: "Cards" });
    expect(await found("organization_id=two")).toEqual(["b", "c"]);
    expect(await found("organization_id=two&q=book&status=ACTIVE")).toEqual(["b"]);
    expect(await found("organization_id=nobody")).toEqual([]);
    right(await remove("/api/projects/a"));
    right(await remove("/api/organizations/org"));
    expect(await organizations("status=ARCHIVED")).toEqual(["org"]);
    expect(await organizations("status=ACTIVE")).toEqual(["two"]);
  });
});

describe("filters of unchanged lists", () => {
  const NAMES: Record<string, string> = {
    percent: "100% off",
    under_score: "Reading",
    quote: "Project 'x'",
    backslash: "a\\b",
    umlaut: "Ärzte",
    books: "Books 📚",
  };
  beforeAll(async () => {
    await begin();
    for (const [id, name] of Object.entries(NAMES)) {
      await makeProject(id, { name });
      await makeOrganization(id, { name });
    }
  });

  test.each([
    ["100%25", ["percent"]],
    ["%25", ["percent"]],
    ["_", ["under_score"]],
    ["a_b", []],
    ["*", []],
    ["%27", ["quote"]],
    ["%27%20OR%201=1--", []],
    ["%5C", ["backslash"]],
    ["READING", ["under_score"]],
    ["PERC", ["percent"]],
    ["%C3%84rzte", ["umlaut"]],
    ["%C3%84RZTE", ["umlaut"]],
    ["%F0%9F%93%9A", ["books"]],
    ["Project", ["quote"]],
    ["", ["backslash", "books", "percent", "quote", "umlaut", "under_score"]],
    ["nothing", []],
  ])("by text: %s", async (q, expected) => {
    expect(await found(`q=${q}`)).toEqual(expected);
    right(await get(`/api/organizations?q=${q}`));
    expect((await organizations(`q=${q}`)).filter((id) => id !== "org")).toEqual(expected);
  });

  test.each([
    ["projects?status=active", "status"],
    ["projects?status=", "status"],
    ["projects?organization_id=a%20b", "organization_id"],
    [`projects?q=${"x".repeat(201)}`, "q"],
    ["projects?q=a&q=b", "q"],
    ["organizations?status=SUSPENDED", "status"],
    ["audit?project_id=a%20b", "project_id"],
    [`audit?subject=${"x".repeat(101)}`, "subject"],
  ])("%s: 400 that names %s", async (address, path) => {
    expect(refusal(await get(`/api/${address}`))).toEqual({ status: 400, code: "invalid_request", paths: [path] });
  });
});

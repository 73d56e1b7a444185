/** One reported event with an invalid part: each gets an error in its row, and the others count. */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, test } from "vitest";
import { freshStart, post } from "../../support/worker.ts";
import { addOrganization, addProject, report } from "../../support/tenants/rows.ts";
import type { Report, Row } from "../../support/tenants/rows.ts";

let ids = 0;

beforeAll(async () => {
  await freshStart();
  await addOrganization("acme");
  await addProject("one", "acme");
});

/** The row of an event, reported between two valid ones. */
async function rowOf(event: unknown): Promise<Row | undefined> {
  const right = (): unknown => ({ id: `right-${(ids += 1)}`, project_id: "one", type: "api_calls" });
  // As text, because JSON may contain values that JavaScript would not write.
  const text = typeof event === "string" ? event : JSON.stringify(event);
  const { status, body } = await post<Report>(
    "/api/usage/events",
    `{"events":[${JSON.stringify(right())},${text},${JSON.stringify(right())}]}`,
  );
  expect({ status, rows: body.results.map(({ result }) => result) }).toEqual({
    status: 200,
    rows: ["counted", expect.any(String), "counted"],
  });
  expect(body.results.map(({ index }) => index)).toEqual([0, 1, 2]);
  return body.results[1];
}

const refused = (id: string | null, error: string) => ({ index: 1, id, status: 400, result: "refused", error });

const counter = (change: object): object => ({ id: "a", project_id: "one", type: "db_queries_per_day", ...change });
const gauge = (change: object): object => ({ id: "a", project_id: "one", type: "realtime_connections", ...change });

const ID = "must have 1 to 128 visible characters";
const TYPE = "must be one of db_queries_per_day, realtime_connections, storage_uploads_per_day, function_invocations_per_day, api_calls";
const SOURCE = "must have at most 64 characters, without control characters or broken surrogates";
const TIME = "must be an ISO 8601 time in UTC, such as 2025-12-30T14:03:11Z";
const COUNT = "must be from 1 to 1000000000";
const SET = "must be from 0 to 1000000000 to set a level";
const ADD = "must be from -1000000000 to 1000000000, and not 0, to change a level";
const UNKNOWN = "is not a known field";

const says = (path: string, message: string, got: string): string => `\`${path}\` ${message}${got === "nothing" ? "" : ` (got ${got})`}.`;

describe("is not an event", () => {
  test.each([
    ["null", "null"],
    ["7", "7"],
    ['"text"', '"text"'],
    ["true", "true"],
    ["[]", "an array of 0"],
    ["[[[1]]]", "an array of 1"],
    ["1e309", "Infinity"],
    [`${"[".repeat(100_000)}${"]".repeat(100_000)}`, "an array of 1"],
  ])("%#: %.20s", async (text, given) => {
    expect(await rowOf(text)).toEqual(refused(null, says("event", "must be an object", given)));
  });
});

describe("has an invalid id", () => {
  test.each([
    [{ id: "" }, '""'],
    [{ id: "two words" }, '"two words"'],
    [{ id: "tab\t" }, '"tab\\t"'],
    [{ id: "nul\0" }, '"nul\\u0000"'],
    [{ id: "\ud83d" }, '"\\ud83d"'],
    [{ id: "\u202e" }, '"\u202e"'],
    [{ id: "\ufeff" }, '"\ufeff"'],
    [{ id: 7 }, "7"],
    [{ id: null }, "null"],
    [{ id: undefined }, "nothing"],
    [{ id: { id: "a" } }, "an object"],
    [{ id: "x".repeat(129) }, `"${"x".repeat(79)}…`],
  ])("%#", async (change, given) => {
    expect(await rowOf(counter(change))).toEqual(refused(null, says("id", ID, given)));
  });

  test.each(["x", "7", "x".repeat(128), "a/b:c.d-e_f", "ß", "書", "😀", "e\u0301", '"', "\\", "';--", "%00", "__proto__"])(
    "which %j is not",
    async (id) => {
      expect(await rowOf(counter({ id }))).toEqual({ index: 1, id, status: 200, result: "counted" });
      expect(await rowOf(counter({ id }))).toEqual({ index: 1, id, status: 200, result: "duplicate" });
    },
  );
});

describe("has an invalid field", () => {
  test.each([
    [counter({ project_id: undefined }), says("project_id", ID, "nothing")],
    [counter({ project_id: "" }), says("project_id", ID, '""')],
    [counter({ project_id: ["one"] }), says("project_id", ID, "an array of 1")],
    [counter({ type: undefined }), "`type` is required."],
    [counter({ type: "API_CALLS" }), `${says("type", TYPE, '"API_CALLS"')} Did you mean \`api_calls\`?`],
    [counter({ type: "constructor" }), says("type", TYPE, '"constructor"')],
    [counter({ type: 0 }), says("type", TYPE, "0")],
    [counter({ quantity: "5" }), says("quantity", "must be a whole number", '"5"')],
    [counter({ quantity: 1.5 }), says("quantity", "must be a whole number", "1.5")],
    [counter({ quantity: null }), says("quantity", "must be a whole number", "null")],
    [counter({ quantity: true }), says("quantity", "must be a whole number", "true")],
    [counter({ quantity: 0 }), says("quantity", COUNT, "0")],
    [counter({ quantity: -1 }), says("quantity", COUNT, "-1")],
    [counter({ quantity: 1_000_000_001 }), says("quantity", COUNT, "1000000001")],
    [counter({ type: "api_calls", quantity: 1_000_000_001 }), says("quantity", COUNT, "1000000001")],
    [counter({ mode: "set" }), says("mode", "must be add for a counter such as db_queries_per_day", '"set"')],
    [counter({ type: "api_calls", mode: "set" }), says("mode", "must be add for a counter such as api_calls", '"set"')],
    [counter({ mode: "count" }), says("mode", "must be one of add, set", '"count"')],
    [counter({ mode: null }), says("mode", "must be one of add, set", "null")],
    [gauge({ mode: "set", quantity: -1 }), says("quantity", SET, "-1")],
    [gauge({ mode: "set", quantity: 1_000_000_001 }), says("quantity", SET, "1000000001")],
    [gauge({ quantity: 0 }), says("quantity", ADD, "0")],
    [gauge({ quantity: 1_000_000_001 }), says("quantity", ADD, "1000000001")],
    [gauge({ quantity: -1_000_000_001 }), says("quantity", ADD, "-1000000001")],
    [counter({ source: "x".repeat(65) }), says("source", SOURCE, `"${"x".repeat(65)}"`)],
    [counter({ source: "nul\0" }), says("source", SOURCE, `"nul\\u0000"`)],
    [counter({ source: "\u001f" }), says("source", SOURCE, `"\\u001f"`)],
    [counter({ source: "\udc00" }), says("source", SOURCE, `"\\udc00"`)],
    [counter({ source: null }), says("source", SOURCE, "null")],
    [counter({ color: "red" }), says("color", UNKNOWN, '"red"')],
    [counter({ "": 1 }), `"" ${UNKNOWN} (got 1).`],
    [counter({ constructor: 1 }), says("constructor", UNKNOWN, "1")],
    [counter({ "\ud83d\0": 1 }), `"\\ud83d\\u0000" ${UNKNOWN} (got 1).`],
  ])("%#: %j", async (event, error) => {
    expect(await rowOf(event)).toEqual(refused("a", error));
  });

  test.each([
    ["1e309", says("quantity", "must be a whole number", "Infinity")],
    ["-1e309", says("quantity", "must be a whole number", "-Infinity")],
    ["9007199254740993", says("quantity", "must be a whole number", `9007199254740992`)],
    ["1e21", says("quantity", "must be a whole number", "1e+21")],
    ["-0", says("quantity", COUNT, "0")],
    [`${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`, says("quantity", "must be a whole number", "an object")],
  ])("the quantity is %.30s", async (quantity, error) => {
    const text = `{"id":"a","project_id":"one","type":"api_calls","quantity":${quantity}}`;
    expect(await rowOf(text)).toEqual(refused("a", error));
  });

  test("it is __proto__, which is a field like any other and changes nothing", async () => {
    const text = `{"__proto__":{"quantity":5},"id":"a","project_id":"one","type":"api_calls"}`;
    expect(await rowOf(text)).toEqual(refused("a", says("__proto__", UNKNOWN, "an object")));
    expect(await rowOf(`{"__proto__":{"id":"a","project_id":"one","type":"api_calls"}}`)).toMatchObject({ id: null, status: 400 });
  });

  test("there are ten thousand of them: the row stays short", async () => {
    const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`member-${index}`, index]));
    expect(await rowOf(counter(many))).toEqual(refused("a", says("member-0", UNKNOWN, "0")));
  });
});

describe("has an invalid time", () => {
  test.each([
    "",
    "now",
    "2031-05-14",
    "2031-05-14 14:00:00Z",
    "2031-05-14T14:00:00",
    "2031-05-14T14:00:00+00:00",
    "2031-05-14T14:00:00+02:00",
    "2031-02-29T00:00:00Z",
    "2031-13-01T00:00:00Z",
    "2031-05-14T24:00:00Z",
    "2031-05-14T23:59:60Z",
    "+002031-05-14T14:00:00Z",
    "1936533791",
  ])("%j", async (time) => {
    expect(await rowOf(counter({ occurred_at: time }))).toEqual(refused("a", says("occurred_at", TIME, JSON.stringify(time))));
  });

  test.each([
    [null, "null"],
    [1_936_533_791_000, "1936533791000"],
    [["2031-05-14T14:00:00Z"], "an array of 1"],
  ])("%j", async (time, given) => {
    expect(await rowOf(counter({ occurred_at: time }))).toEqual(refused("a", says("occurred_at", TIME, given)));
  });
});

describe("at the exact limits", () => {
  test.each([
    counter({ quantity: 1 }),
    counter({ quantity: 1_000_000_000 }),
    counter({ type: "api_calls", quantity: 1_000_000_000 }),
    gauge({ mode: "set", quantity: 0 }),
    gauge({ mode: "set", quantity: 1_000_000_000 }),
    gauge({ quantity: -1_000_000_000 }),
    gauge({ quantity: 1_000_000_000 }),
    counter({ source: '\\ "a b" ü'.padEnd(64, "x") }),
  ])("%# counts", async (event) => {
    expect(await rowOf({ ...event, id: `edge-${(ids += 1)}` })).toMatchObject({ status: 200, result: "counted" });
  });

  test("quantities stay exact with a thousand maximum values together", async () => {
    await addProject("large", "acme");
    const events = Array.from({ length: 1_000 }, (_, index) => ({
      ...counter({ quantity: 1_000_000_000 }),
      id: `large-${index}`,
      project_id: "large",
    }));
    expect(await report(events)).toMatchObject({ counted: 1_000 });
    expect(await env.DB.prepare("SELECT used FROM counters WHERE project_id = 'large'").first("used")).toBe(1_000_000_000_000);
  });
});

test("a report with only invalid events is answered without the database", async () => {
  const { results, ...sums } = await report([null, 7]);
  expect({ sums, rows: results.length }).toEqual({
    sums: { received: 2, counted: 0, late: 0, duplicates: 0, conflicts: 0, refused: 2 },
    rows: 2,
  });
});

/** The report as a whole: allowed callers, maximum size and form. */
import { beforeAll, describe, expect, test } from "vitest";
import { ADMIN_TOKEN, freshStart, post } from "../../support/worker.ts";
import { addOrganization, addProject } from "../../support/tenants/rows.ts";
import { callWith } from "../support.ts";

const PATH = "/api/usage/events";
const FOUR_MIB = 4 * 1024 * 1024;

beforeAll(async () => {
  await freshStart();
  await addOrganization("acme");
  await addProject("one", "acme");
});

const event = (id: string) => ({ id, project_id: "one", type: "db_queries_per_day" });
const sized = (bytes: number): string => JSON.stringify({ events: [event("sized")] }).padEnd(bytes, " ");

describe("a body", () => {
  test("of 4 MiB is read, and one byte more is 413, whether the length is announced or not", async () => {
    expect(await post(PATH, sized(FOUR_MIB))).toMatchObject({ status: 200, body: { received: 1 } });
    expect(await post(PATH, sized(FOUR_MIB + 1))).toMatchObject({
      status: 413,
      body: { code: "payload_too_large", detail: "The body is larger than 4194304 bytes (4 MiB)." },
    });
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
    const streamed = async (bytes: number) => callWith({}, PATH, { method: "POST", headers, body: new Blob([sized(bytes)]).stream() });
    expect(await streamed(FOUR_MIB)).toMatchObject({ status: 200, body: { received: 1 } });
    expect(await streamed(FOUR_MIB + 1)).toMatchObject({ status: 413 });
  });

  test.each(["/api/usage/events/", "/api/usage/events/x", "/api/harvest/targets"])(
    "of more than 1 MiB is for this path only, not for %s",
    async (path) => {
      expect(await post(path, sized(1_048_577))).toMatchObject({
        status: 413,
        body: { detail: "The body is larger than 1048576 bytes (1 MiB)." },
      });
    },
  );

  test.each([
    [{ events: [] }, "events"],
    [{ events: Array.from({ length: 1_001 }, (_, index) => event(`many-${index}`)) }, "events"],
    [{ events: { 0: event("a") } }, "events"],
    [{ events: null }, "events"],
    [{}, "events"],
    [[event("a")], "body"],
    [{ events: [event("a")], dry_run: true }, "dry_run"],
  ])("that is not a list of 1 to 1,000 events is 400 (%#)", async (body, path) => {
    const answer = await post<{ code: string; errors: { path: string }[] }>(PATH, body);
    expect({ status: answer.status, code: answer.body.code, paths: answer.body.errors.map((error) => error.path) }).toEqual({
      status: 400,
      code: "invalid_request",
      paths: [path],
    });
  });

  test("with a thousand events is read", async () => {
    const events = Array.from({ length: 1_000 }, (_, index) => event(`whole-${index}`));
    expect(await post(PATH, { events })).toMatchObject({ status: 200, body: { received: 1_000, counted: 1_000 } });
  });
});

test("only the administrator may report", async () => {
  expect(await post(PATH, { events: [event("a")] }, { token: null })).toMatchObject({ status: 401 });
  expect(await post(PATH, { events: [event("a")] }, { token: "wrong" })).toMatchObject({ status: 401 });
});

test("the answer has a sum for each result and a row for each event, in the order given", async () => {
  const answer = await post(PATH, { events: [event("x"), null, event("x"), { ...event("x"), quantity: 2 }] });
  expect(answer.body).toEqual({
    received: 4,
    counted: 1,
    late: 0,
    duplicates: 1,
    conflicts: 1,
    refused: 1,
    results: [
      { index: 0, id: "x", status: 200, result: "counted" },
      { index: 1, id: null, status: 400, result: "refused", error: "`event` must be an object (got null)." },
      { index: 2, id: "x", status: 200, result: "duplicate" },
      {
        index: 3,
        id: "x",
        status: 409,
        result: "conflict",
        error: "`quantity` must be 1, as in the event already counted with this id (got 2).",
      },
    ],
  });
});

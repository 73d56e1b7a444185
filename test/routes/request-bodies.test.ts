import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { ADMIN_TOKEN, freshStart, post } from "../support/worker.ts";
import { callWith, problemIn, problem } from "./support.ts";

beforeAll(async () => freshStart());
afterEach(() => void vi.restoreAllMocks());

describe("bodies", () => {
  const isbns = ["9780201633610"];

  test("of 1 MiB are read, and one byte more is 413, whether the length is announced or not", async () => {
    const sized = (bytes: number): string => JSON.stringify({ isbns }).padEnd(bytes, " ");
    expect((await post("/api/enrich/batch-direct", sized(1_048_576))).status).toBe(200);
    const announced = await post("/api/enrich/batch-direct", sized(1_048_577));
    expect(problemIn(announced)).toEqual(problem(413, "payload_too_large"));
    expect(announced.body["detail"]).toBe("The body is larger than 1048576 bytes (1 MiB).");

    const streamed = new Blob([sized(1_048_577)]).stream();
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
    expect(await callWith({}, "/api/enrich/batch-direct", { method: "POST", headers, body: streamed })).toMatchObject({ status: 413 });
    const short = new Blob([sized(1_000)]).stream();
    expect(await callWith({}, "/api/enrich/batch-direct", { method: "POST", headers, body: short })).toMatchObject({ status: 200 });
  });

  test.each(["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "text/json", ""])(
    "of the type %j: 415",
    async (type) => {
      const answer = await post("/api/enrich/batch-direct", JSON.stringify({ isbns }), { headers: { "content-type": type } });
      expect(problemIn(answer)).toEqual(problem(415, "unsupported_media_type"));
    },
  );

  test.each(["application/json", "application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.api+json"])(
    "of the type %j are read",
    async (type) => {
      const answer = await post("/api/enrich/batch-direct", JSON.stringify({ isbns }), { headers: { "content-type": type } });
      expect(answer.status).toBe(200);
    },
  );

  test.each(["{", "{'isbns': []}", '{"isbns": ["9780201633610"],}', " ", "\uFEFF{", "undefined", "[".repeat(100_000)])(
    "that are not JSON (%#): 400",
    async (body) => {
      const answer = await post("/api/enrich/batch-direct", body);
      expect(problemIn(answer)).toEqual(problem(400, "invalid_request"));
      expect(answer.body["errors"]).toEqual([{ path: "body", message: "must be valid JSON" }]);
    },
  );

  test.each(["null", "7", '"text"', "[]", "true"])("that are %s: 400 that names the body", async (body) => {
    const answer = await post("/api/enrich/batch-direct", body);
    expect(problemIn(answer)).toEqual(problem(400, "invalid_request"));
    expect(answer.body["errors"]).toEqual([{ path: "body", message: expect.any(String) }]);
  });

  test("that are missing or empty: 400 if a body is required", async () => {
    expect(problemIn(await post("/api/enrich/batch-direct"))).toEqual(problem(400, "invalid_request"));
    expect(problemIn(await post("/api/enrich/batch-direct", ""))).toEqual(problem(400, "invalid_request"));
  });

  test("that are empty with a declared type count as missing", async () => {
    await post("/api/quota/reservations", { calls: 1, id: "empty-body" });
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
    expect(await callWith({}, "/api/quota/reservations/empty-body/commit", { method: "POST", headers })).toMatchObject({ status: 200 });
  });

  test("with a thousand errors get a short response", async () => {
    const wrong = Array.from({ length: 1_000 }, () => 7);
    const answer = await post<{ detail: string; errors: unknown[] }>("/api/enrich/batch-direct", { isbns: wrong });
    expect({ status: answer.status, errors: answer.body.errors.length }).toEqual({ status: 400, errors: 50 });
    expect(answer.body.detail).toMatch(/^`isbns\.0` must be .* And 995 more\.$/u);
  });
});

/* oxlint-disable vitest/no-standalone-expect -- the rule does not recognize an extended test function */
import { describe, expect } from "vitest";
import type { HarvestDesk } from "../support/node/harvest.ts";
import { eventsIn } from "../support/node/harvest.ts";
import { TOMORROW, bibliographyBody, refusal, statusBody } from "../support/node/harvest-server.ts";
import type { Reply } from "../support/node/harvest-server.ts";
import { it } from "../support/node/harvest-test.ts";

const three = (desk: HarvestDesk): string => `--authors=${desk.list(["Anna", "Bert", "Cleo"])}`;
const spent = (calls: number) => ({ calls_charged: calls });

describe.concurrent("temporary failures", () => {
  it.for<readonly [string, Reply[], number]>([
    ["500", [refusal(500, "internal_error"), refusal(500, "internal_error")], 4],
    ["503 with Retry-After", [refusal(503, "quota_unavailable", {}, { "retry-after": "1" })], 2],
    ["responses without JSON", [{ body: "<html>" }, { status: 502, body: "Bad gateway" }], 4],
    ["responses without expected fields", [{ body: { hello: 1 } }], 3],
    [
      "a response without page and reason",
      [{ body: bibliographyBody({ complete: false, next_page: 1, pages_fetched: 0, books_found: 0, api_calls: 0 }) }],
      2,
    ],
    ["a rate limit", [refusal(429, "pace_exceeded", {}, { "retry-after": "1" })], 2],
    ["a rate limit in front of the coordinator", [{ status: 429, body: "slow down", headers: { "retry-after": "1" } }], 2],
  ])("%s: retries the author and continues", async ([_, replies, asked], { server, desk }) => {
    server.script.set("Bert", replies);
    const { code } = await desk.run(three(desk));
    expect(code).toBe(0);
    expect(server.asked.filter((name) => name === "Bert")).toHaveLength(asked);
    expect(desk.saved()).toMatchObject({ settled: 3, failed: [], totals: { authors: 3, books: 9 } });
  });

  it("waits for an unavailable server", async ({ server, desk }) => {
    await server.close();
    const harvest = desk.start("--author=Anna", "--retry-pause=0.5");
    await harvest.printed("Anna: No response from the server (connect ECONNREFUSED");
    await server.listen();
    expect(await harvest.ended).toBe(0);
  });

  it.for([
    ["floor for interactive callers", "daily-background"],
    ["share of the project", "project-share"],
  ] as const)("stops at the %s", async ([_, policy], { server, desk }) => {
    const refused = refusal(429, "quota_exhausted", { reset_at: TOMORROW, "violated-policies": [policy], calls_charged: 0 });
    server.script.set("Bert", [refused]);
    const { code } = await desk.run(three(desk));
    expect({ code, priorities: server.bodies.map(({ priority }) => priority) }).toEqual({
      code: 2,
      priorities: ["background", "background"],
    });
  });

  it("waits for reserved calls", async ({ server, desk }) => {
    const reserved = { reserved: 600, remaining: 0, can_make_calls: false, background: { floor: 0, remaining: 0 } };
    server.status = { body: statusBody(400, 1_000, reserved) };
    const soon = { reset_at: TOMORROW, available_at: "2998-12-31T12:00:01Z", calls_charged: 0 };
    server.script.set("Anna", [refusal(429, "quota_exhausted", soon, { "retry-after": "1" }), { body: bibliographyBody({}) }]);
    const cut = { complete: false, quota_exhausted: true, next_page: 2, quota: statusBody(401, 1_000, reserved) };
    server.script.set("Bert", [{ body: bibliographyBody(cut) }, { body: bibliographyBody({}) }]);
    const { code } = await desk.run(three(desk));
    expect({ code, asked: server.asked }).toEqual({ code: 0, asked: ["Anna", "Anna", "Bert", "Bert", "Cleo"] });
  });

  it("keeps a response with an unexpected quota", async ({ server, desk }) => {
    const odd = { ...statusBody(), callers: [{ caller: "operator", used: -4_177 }] };
    server.script.set("Anna", [{ body: { ...bibliographyBody({}), quota: odd } }]);
    server.script.set("Bert", [{ body: { ...bibliographyBody({}), quota: { hello: 1 } } }]);
    expect((await desk.run(three(desk))).code).toBe(0);
    expect(server.asked).toEqual(["Anna", "Bert", "Cleo"]);
  });

  it("counts books from the complete bibliography after a lost response", async ({ server, desk }) => {
    server.script.set("Anna", [
      { body: "{" },
      { body: bibliographyBody({ books_found: 200 }) },
      { body: bibliographyBody({ books_found: 1_200, cached: true, pages_fetched: 0, api_calls: 0 }) },
    ]);
    await desk.run("--author=Anna");
    expect(desk.saved().totals).toEqual({ authors: 1, books: 1_200, pages: 1, calls: 1 });
  });
});

describe.concurrent("permanent failures", () => {
  it("of one author are recorded, and --retry-failed retries them", async ({ server, desk }) => {
    server.script.set(
      "Bert",
      Array.from({ length: 6 }, () => refusal(500, "internal_error")),
    );
    const first = await desk.run(three(desk));
    expect(first.code).toBe(3);
    expect(first.output).toContain("Failed:\n  Bert: This is internal_error.");
    expect(desk.saved()).toMatchObject({ settled: 3, processed: 2, failed: [{ author: "Bert", reason: "This is internal_error." }] });
    expect((await desk.run("--resume")).code).toBe(3);

    const again = await desk.run("--retry-failed");
    expect(again.code).toBe(0);
    expect(server.asked.slice(-3)).toEqual(["Cleo", "Bert", "Bert"]);
    expect(desk.saved()).toMatchObject({ processed: 3, failed: [], totals: { authors: 3, books: 9 } });
  });

  it("that cost calls are counted and have fewer retries", async ({ server, desk }) => {
    server.script.set(
      "Bert",
      Array.from({ length: 3 }, () => refusal(502, "upstream_error", spent(1))),
    );
    expect((await desk.run(three(desk))).code).toBe(3);
    expect(desk.saved().totals).toEqual({ authors: 2, books: 6, pages: 2, calls: 5 });
  });

  it("without a chance of success are not retried", async ({ server, desk }) => {
    server.script.set("Bert", [refusal(502, "upstream_error", { ...spent(1), retry: "no" })]);
    server.script.set("Cleo", [refusal(400, "invalid_request")]);
    expect((await desk.run(three(desk))).code).toBe(3);
    expect(server.asked).toEqual(["Anna", "Bert", "Cleo"]);
  });

  it("of all authors end the run, and the authors are not marked as failed", async ({ server, desk }) => {
    const names = Array.from({ length: 30 }, (_, index) => `Author ${index}`);
    server.script.set("*", [
      { body: bibliographyBody() },
      { body: bibliographyBody() },
      ...Array.from({ length: 60 }, () => ({ body: "" })),
    ]);
    const { code, output } = await desk.run(`--authors=${desk.list(names)}`);
    expect(code).toBe(1);
    expect(output).toContain("10 authors in a row failed. Last reason: The server's response is invalid");
    expect(desk.saved()).toMatchObject({ settled: 2, processed: 2, failed: [] });
    expect((await desk.run("--resume")).code).toBe(0);
    expect(desk.saved()).toMatchObject({ settled: 30, processed: 30, failed: [] });
  });

  it.for<readonly [number, string, string]>([
    [401, "unauthorized", "Invalid token: This is unauthorized. Pass --token or set ADMIN_TOKEN."],
    [403, "forbidden", "Token not allowed: This is forbidden."],
    [404, "not_found", "This is not_found. (404). Check --base-url."],
  ])("%i ends the run immediately", async ([status, code, sentence], { server, desk }) => {
    server.script.set("*", [refusal(status, code)]);
    const done = await desk.run(three(desk));
    expect(done.output).toContain(sentence);
    expect(done.code).toBe(1);
    expect(server.asked).toEqual(["Anna"]);
    expect(desk.saved()).toMatchObject({ settled: 0, failed: [] });
  });
});

describe.concurrent("the daily limit", () => {
  const over = () => refusal(429, "quota_exhausted", { reset_at: TOMORROW, quota: statusBody(1_000) });

  it("exits with 2, and --resume continues with the same author", async ({ server, desk }) => {
    server.script.set("Bert", [over()]);
    expect((await desk.run(three(desk))).code).toBe(2);
    expect(desk.saved()).toMatchObject({ settled: 1, failed: [] });
    expect((await desk.run(three(desk), "--resume")).code).toBe(0);
    expect(server.asked).toEqual(["Anna", "Bert", "Bert", "Cleo"]);
  });

  it("stops the run before the first author", async ({ server, desk }) => {
    server.status = { body: statusBody(1_000) };
    expect((await desk.run(three(desk))).code).toBe(2);
    expect(server.asked).toEqual([]);
  });

  it("with --wait polls the status until calls are available", async ({ server, desk }) => {
    const dayEnds = (): void => {
      server.status = { body: statusBody(1_000) };
    };
    server.script.set("Bert", [{ ...over(), before: dayEnds }]);
    const harvest = desk.start(three(desk), "--wait");
    await harvest.printed("Waiting for the reset at 2999-01-01T00:00:00Z, checking every 0.1 s. Next author: Bert.");
    const before = server.paths.length;
    await expect.poll(() => server.paths.length).toBeGreaterThan(before + 3);
    server.status = refusal(503, "quota_unavailable");
    await harvest.printed("Warning: Quota status unavailable");
    server.status = { body: statusBody(3) };
    expect(await harvest.ended).toBe(0);
    expect(server.asked).toEqual(["Anna", "Bert", "Bert", "Cleo"]);
  });

  it("is not derived from a failed status request or a snapshot", async ({ server, desk }) => {
    server.status = refusal(503, "quota_unavailable");
    const failing = await desk.run("--author=Anna");
    expect(failing.output).toContain("Warning: Quota status unavailable: This is quota_unavailable.");
    expect(failing.code).toBe(0);
    server.status = { body: statusBody(1_000, 1_000, { source: "snapshot" }) };
    expect((await desk.run("--author=Anna", "--force")).code).toBe(0);
  });

  it("is checked every 100 authors", async ({ server, desk }) => {
    const names = Array.from({ length: 250 }, (_, index) => `Author ${index}`);
    await desk.run(`--authors=${desk.list(names)}`);
    const checks = server.paths.flatMap((path, index) => (path === "/api/quota/status" ? [index] : []));
    expect(checks).toEqual([0, 101, 202]);
  });
});

describe.concurrent("pages", () => {
  const part = (next_page: number, more: object = {}) => ({ body: bibliographyBody({ complete: false, next_page, ...more }) });

  it("are fetched until the bibliography is complete", async ({ server, desk }) => {
    server.script.set("Anna", [part(6, { pages_fetched: 5, api_calls: 5 }), part(11, { pages_fetched: 5, api_calls: 5 })]);
    const { output } = await desk.run("--author=Anna");
    expect(output).toContain("[1/1] Anna: 9 books, 11 calls");
    expect(desk.saved().totals).toEqual({ authors: 1, books: 9, pages: 11, calls: 11 });
  });

  it("are limited by --max-pages", async ({ server, desk }) => {
    server.script.set("Anna", [part(6, { pages_fetched: 5, api_calls: 5 }), part(8, { pages_fetched: 2, api_calls: 2 })]);
    const { code, output } = await desk.run("--author=Anna", "--max-pages=7");
    expect(output).toContain("--max-pages reached (next page 8)");
    expect(server.bodies.map(({ max_pages }) => max_pages)).toEqual([5, 2]);
    expect(code).toBe(0);
  });

  it("that fail are retried, and recorded after repeated failures", async ({ server, desk }) => {
    const errors = [{ page: 3, code: "upstream_error", message: "The provider returned 500." }];
    server.script.set("Anna", [part(3, { pages_fetched: 2, api_calls: 3, errors }), refusal(502, "upstream_error", spent(1))]);
    const failing = () => refusal(502, "upstream_error", spent(1));
    server.script.set("Bert", [part(3, { pages_fetched: 2, api_calls: 3, errors }), failing(), failing()]);
    expect((await desk.run(three(desk))).code).toBe(3);
    expect(desk.saved().failed).toMatchObject([{ author: "Bert", reason: "This is upstream_error.", next_page: 3 }]);
    expect(desk.saved().totals).toMatchObject({ authors: 2, calls: 3 + 1 + 1 + 3 + 2 + 1 });
  });

  it("that the provider omits truncate the result, with a reason", async ({ server, desk }) => {
    const errors = [{ page: 11, code: "provider_limit", message: "The provider returned 10000 of 12000 results." }];
    server.script.set("Anna", [{ body: bibliographyBody({ complete: false, errors }) }]);
    const { output, code } = await desk.run("--author=Anna", "--json");
    expect(eventsIn(output)).toContainEqual(expect.objectContaining({ type: "author", result: "truncated", reason: errors[0]?.message }));
    expect(code).toBe(0);
  });
});

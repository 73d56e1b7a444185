/* oxlint-disable vitest/no-standalone-expect -- the rule does not recognize an extended test function */
import { describe, expect } from "vitest";
import type { HarvestDesk } from "../support/node/harvest.ts";
import { eventsIn } from "../support/node/harvest.ts";
import { TOMORROW, bibliographyBody, refusal, statusBody } from "../support/node/harvest-server.ts";
import { it } from "../support/node/harvest-test.ts";

const people = (desk: HarvestDesk): string => `--authors=${desk.list(["# people", "Anna", "", "  bert ", "Bert", "Cleo"])}`;

describe.concurrent("an interruption", () => {
  it.for(["SIGINT", "SIGTERM"] as const)(
    "by %s waits for the current response, saves and exits with 130",
    async (signal, { server, desk }) => {
      let answer = (): void => undefined;
      server.hold = new Promise((resolve) => {
        answer = resolve;
      });
      const harvest = desk.start(people(desk));
      await server.askedFor(1);
      const ended = harvest.stop(signal);
      await harvest.printed("Stopping after the current response.");
      answer();
      expect(await ended).toBe(130);
      expect(harvest.output).toContain("Interrupted. Pass --resume to continue.");
      expect(desk.saved()).toMatchObject({ settled: 1, totals: { authors: 1 } });
      expect(server.asked).toEqual(["Anna"]);
    },
  );

  it("repeated ends immediately", async ({ server, desk }) => {
    server.hold = new Promise(() => undefined);
    const harvest = desk.start(people(desk));
    await server.askedFor(1);
    void harvest.stop("SIGINT");
    await harvest.printed("Stopping after the current response.");
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect(await harvest.stop("SIGINT")).toBe(130);
    expect(desk.saved()).toMatchObject({ settled: 0 });
  });

  it("of a waiting harvest exits with 130", async ({ server, desk }) => {
    server.status = { body: statusBody(1_000) };
    const harvest = desk.start(people(desk), "--wait", "--status-interval=60");
    await harvest.printed("Waiting for the reset");
    expect(await harvest.stop("SIGTERM")).toBe(130);
    expect(server.asked).toEqual([]);
  });

  it("says that only interactive callers have calls left, when the floor ends background work", async ({ server, desk }) => {
    server.status = { body: statusBody(991, 1_000, { background: { floor: 100, remaining: 0 } }) };
    const { code, output } = await desk.run(people(desk));
    expect({ code, asked: server.asked }).toEqual({ code: 2, asked: [] });
    expect(output).toContain("9 calls left today, only for interactive callers.");
    expect(output).not.toContain("used up");
  });
});

describe.concurrent("the output", () => {
  it("into a pipe has a line per author and a summary", async ({ server, desk }) => {
    server.script.set("Cleo", [refusal(400, "invalid_request")]);
    const { code, output } = await desk.run(people(desk));
    expect(output).toBe(
      [
        `--authors ${desk.folder}/authors.txt at ${desk.url}: 3 authors`,
        "[1/3] Anna: 3 books, 1 call",
        "[2/3] bert: 3 books, 1 call",
        "[3/3] Cleo: failed: This is invalid_request.",
        "1 author failed. Pass --retry-failed to retry.",
        "2 of 3 authors done, 1 failure, 0 remaining.",
        "6 books, 2 calls, 2 pages.",
        "Failed:",
        "  Cleo: This is invalid_request.",
        `Checkpoint: ${desk.checkpoint}`,
        "",
      ].join("\n"),
    );
    expect(code).toBe(3);
  });

  it("with --json has an object per line, from start to end", async ({ server, desk }) => {
    server.script.set("bert", [refusal(429, "quota_exhausted", { reset_at: TOMORROW })]);
    const { code, output } = await desk.run(people(desk), "--json");
    const events = eventsIn(output);
    expect(events.map(({ type }) => type)).toEqual(["start", "quota", "author", "exhausted", "end"]);
    expect(events[2]).toMatchObject({ author: "Anna", result: "done", books: 3, pages: 1, calls: 1, settled: 1, total: 3 });
    expect(events[3]).toMatchObject({ next_author: "bert", waiting: false, reset_at: TOMORROW });
    expect(events[4]).toMatchObject({ ending: "exhausted", exit_code: 2, settled: 1, totals: { authors: 1, calls: 1 } });
    expect(code).toBe(2);
  });

  it("ends at the daily limit within an author, who is not done", async ({ server, desk }) => {
    const cut = { complete: false, quota_exhausted: true, next_page: 2, errors: [], quota: statusBody(1_000) };
    server.script.set("bert", [{ body: bibliographyBody(cut) }]);
    const { code, output } = await desk.run(people(desk), "--json");
    expect(server.asked).toEqual(["Anna", "bert"]);
    expect(eventsIn(output).at(-1)).toMatchObject({ ending: "exhausted", exit_code: 2, settled: 1, totals: { authors: 1, calls: 2 } });
    expect(code).toBe(2);
  });

  it("with --json includes errors before the start", async ({ desk }) => {
    const { output } = await desk.run("--json", "--tier=best");
    expect(eventsIn(output)).toMatchObject([{ type: "error", message: expect.stringContaining("--tier") as string }]);
  });

  it("has no control characters from a name", async ({ desk }) => {
    const { output } = await desk.run("--author=An\u001B[31mna");
    expect(output).not.toContain("\u001B");
  });
});

describe.concurrent("--check-quota", () => {
  it.for<readonly [number, number, string]>([
    [456, 0, "Calls can be made."],
    [1_000, 2, "No call can be made."],
  ])("at %i of 1,000 exits with %i", async ([used, code, sentence], { server, desk }) => {
    server.status = { body: statusBody(used) };
    const done = await desk.run("--check-quota");
    expect(done.output).toContain(`Left         ${1_000 - used}\n`);
    expect(done.output).toContain(sentence);
    expect(done.code).toBe(code);
  });

  it("exits with 1 without a status", async ({ server, desk }) => {
    server.status = refusal(503, "quota_unavailable");
    expect(await desk.run("--check-quota")).toEqual({
      code: 1,
      output: "Cannot read the quota status: This is quota_unavailable.\n",
    });
  });
});

describe.concurrent("tiers", () => {
  it.for<readonly [string, number, string[]]>([
    ["top-100", 100, ["offset=0&limit=100"]],
    ["top-1000", 1_000, ["offset=0&limit=1000"]],
    ["1000-5000", 4_000, [1_000, 2_000, 3_000, 4_000].map((offset) => `offset=${offset}&limit=1000`)],
    ["5000-20000", 1_200, ["offset=5000&limit=1000", "offset=6000&limit=1000"]],
    ["all", 6_200, [0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000].map((offset) => `offset=${offset}&limit=1000`)],
  ])("%s of 6,200 authors has %i, and --dry-run makes no provider calls", async ([tier, authors, pages], { server, desk }) => {
    server.top = Array.from({ length: 6_200 }, (_, index) => `Author ${index}`);
    server.status = { body: statusBody(400) };
    const { code, output } = await desk.run(`--tier=${tier}`, "--dry-run", "--json");
    expect(server.paths.filter((path) => path.includes("top")).map((path) => path.split("?")[1])).toEqual(pages);
    const calls = authors * 3;
    const days = 1 + Math.ceil((calls - 600) / 1_000);
    const plan = { authors, calls, left_today: 600, calls_per_day: 1_000, days, full_days: Math.ceil(calls / 1_000) };
    expect(eventsIn(output).at(-1)).toMatchObject({ type: "plan", ...plan });
    expect([code, server.asked.length]).toEqual([0, 0]);
  });

  it("are harvested in their order, and --resume keeps the order they had", async ({ server, desk }) => {
    server.top = ["Anna", "Bert", "Cleo"];
    server.script.set("Bert", [refusal(401, "unauthorized")]);
    await desk.run("--tier=top-100");
    server.top = ["Cleo", "Anna", "Bert"];
    expect((await desk.run("--resume", "--tier=top-100")).code).toBe(0);
    expect([...new Set(server.asked)]).toEqual(["Anna", "Bert", "Cleo"]);
    const { output } = await desk.run("--resume", "--dry-run");
    expect(output).toContain("Authors        0\n");
  });
});

it.concurrent.for<readonly [string[], string | RegExp]>([
  [[], "No authors given. Pass one of --tier, --author and --authors, or --resume."],
  [["--tier=best"], /^--tier must be one of top-100, .*all \(got "best"\)\.$/u],
  [["--max-pages=0", "--tier=all"], '--max-pages must be a whole number from 1 to 100 (got "0").'],
  [["--base-url=ftp://x", "--tier=all"], '--base-url must be an address such as http://127.0.0.1:8787 (got "ftp://x").'],
  [["--status-interval=soon"], '--status-interval must be a number of seconds above 0, such as 60 or 0.5 (got "soon").'],
  [["--author="], '--author must be a name (got "").'],
  [["--autor=x"], /^Unknown option --autor\. Options: --tier, --author, .*--help/u],
  [["top-100"], 'Unexpected argument "top-100". Write options after "--": npm run harvest -- --tier TIER'],
  [["--tier=all", "--author=x"], "Pass only one of --tier, --author and --authors."],
  [["--authors=/nowhere/a.txt"], /^Cannot read --authors \/nowhere\/a\.txt \(ENOENT/u],
])("%j prints one line and exits with 1", async ([options, sentence], { desk }) => {
  const { code, output } = await desk.run(...options);
  expect(output.trimEnd()).toMatch(sentence);
  expect(output.trimEnd().split("\n")).toHaveLength(1);
  expect(code).toBe(1);
});

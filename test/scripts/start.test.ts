import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Coordinator } from "../support/node/coordinator.ts";
import type { Command } from "../support/node/process.ts";
import { liveProcesses } from "../support/node/process.ts";

const DAY_MS = 24 * 60 * 60 * 1_000;

/** Commands on the screen, as single lines. */
function commandsIn(output: string): string[] {
  return output
    .replaceAll(/\\\n/gu, "")
    .split("\n")
    .filter((line) => line.trim().startsWith("curl "));
}

/** Environment variables that the screen exports. */
function exportsIn(output: string): Record<string, string> {
  return Object.fromEntries([...output.matchAll(/^ +export (\w+)=(\S+)$/gmu)].map(([, name = "", value = ""]) => [name, value]));
}

function paste(command: string, output: string): string {
  return spawnSync("sh", ["-c", command], { encoding: "utf8", env: { ...process.env, ...exportsIn(output) } }).stdout;
}

describe("npm start", () => {
  const coordinator = new Coordinator();
  let command: Command;

  beforeAll(async () => {
    command = await coordinator.start();
  });
  afterAll(async () => coordinator.stop());

  const read = async (path: string): Promise<Record<string, unknown>> => {
    const answer = await fetch(`${coordinator.url}${path}`, { headers: { authorization: `Bearer ${coordinator.token}` } });
    return (await answer.json()) as Record<string, unknown>;
  };

  it("fits on a terminal of 80 columns", () => {
    const widest = Math.max(...command.output.split("\n").map((line) => line.length));
    expect(widest).toBeLessThanOrEqual(80);
  });

  it("writes local secrets and the simulator on the first run", () => {
    expect(readFileSync(coordinator.vars, "utf8").split("\n").slice(1, -1)).toEqual([
      `ADMIN_TOKEN="${coordinator.token}"`,
      'ISBNDB_API_KEY="simulator-key"',
      ...["KEY_PEPPER", "SESSION_SECRET", "METRICS_TOKEN", "ALERTMANAGER_TOKEN", "GRAFANA_SECRET", "DATADOG_TOKEN"].map((name) =>
        expect.stringMatching(new RegExp(`^${name}="local-[0-9a-f]{48}"$`, "u")),
      ),
      'ALLOW_PRIVATE_WEBHOOKS="true"',
      `ISBNDB_BASE_URL="${coordinator.simulatorUrl}"`,
      `SIMULATOR_CONTROL_URL="${coordinator.simulatorUrl}/_simulator"`,
    ]);
  });

  it("has real books that are two months old", async () => {
    const book = await read("/api/books/9780441172719");
    expect(book).toMatchObject({ title: "Dune", authors: ["Frank Herbert"], subjects: ["Science Fiction"], isbn10: "0441172717" });
    expect((Date.now() - Date.parse(String(book["fetched_at"]))) / DAY_MS).toBeCloseTo(60, 1);
    const { authors } = await read("/api/authors/top?limit=1");
    expect(authors).toEqual([{ author_name: "J.K. Rowling", work_count: 8, edition_count: 8 }]);
  });

  it("serves the reference and the simulator's control page", async () => {
    const paths = ["/docs", "/docs-assets/swagger-ui.css", "/docs-assets/swagger-ui-bundle.js", "/docs-assets/start.js"];
    const statuses = await Promise.all(paths.map(async (path) => (await fetch(`${coordinator.url}${path}`)).status));
    expect(statuses).toEqual([200, 200, 200, 200]);
    expect(await (await fetch(`${coordinator.simulatorUrl}/_simulator`)).text()).toContain("<html");
  });

  it("prints working commands for two books, the status, the daily limit and its refusal", async () => {
    const [enrich = "", status = "", usage = "", useUpLimit = "", refused = ""] = commandsIn(command.output);
    const pasted = (text: string) => paste(text, command.output);
    expect(JSON.parse(pasted(enrich))).toMatchObject({ requested: 2, enriched: 2, api_calls: 1 });
    // The public status is up to a second old.
    await expect.poll(() => JSON.parse(pasted(status)) as unknown, { timeout: 5_000 }).toMatchObject({ used: 1, callers: [] });
    expect(JSON.parse(pasted(usage))).toMatchObject({
      project_id: "demo",
      organization: { api_calls: { used: 1, limit: 10_000 } },
      upstream: { calls_per_day: 500, used: 1, remaining: 499 },
    });
    expect(JSON.parse(pasted(useUpLimit))).toMatchObject({ used: 13_000, remaining: 0 });
    expect(pasted(refused)).toMatch(/^HTTP\/1.1 429 [^]*"code":"quota_exhausted"/u);
  });

  it("continues after SIGTERM on other ports and leaves no process running", async () => {
    const children = command.children();
    expect(children.filter((child) => child.endsWith("workerd"))).not.toHaveLength(0);
    expect(await command.stop("SIGTERM")).toBe(143);
    const after = new Set(liveProcesses().map(({ id }) => id));
    expect(children.filter((child) => after.has(Number.parseInt(child, 10)))).toEqual([]);

    const [url, vars, key] = [coordinator.url, readFileSync(coordinator.vars, "utf8"), coordinator.key];
    command = await coordinator.start();
    expect(coordinator.url).not.toBe(url);
    expect(readFileSync(coordinator.vars, "utf8")).toBe(vars);
    expect(coordinator.key).toBe(key);
    await expect.poll(async () => read("/api/quota/status"), { timeout: 5_000 }).toMatchObject({ used: 13_000, upstream: { spent: 1 } });

    const [startOver = "", enrich = ""] = commandsIn(command.output);
    expect(JSON.parse(paste(startOver, command.output))).toMatchObject({ used: 0 });
    expect(JSON.parse(paste(enrich, command.output))).toMatchObject({ cached: 2, api_calls: 0 });
    const simulator = (await (await fetch(`${coordinator.simulatorUrl}/_simulator/state`)).json()) as Record<string, unknown>;
    expect(simulator).toMatchObject({ spent: 1 });
  });

  it("calls this run's simulator although the file has the first run's", async () => {
    const answer = await fetch(`${coordinator.url}/api/enrich/batch-direct`, {
      method: "POST",
      headers: { authorization: `Bearer ${coordinator.token}`, "content-type": "application/json" },
      body: JSON.stringify({ isbns: ["9780547928227"], refresh: true }),
    });
    expect(await answer.json()).toMatchObject({ enriched: 1, api_calls: 1 });
  });

  it("exits with 1 and a message when workerd dies", async () => {
    const workerd = command.children().find((child) => child.endsWith("workerd")) ?? "";
    process.kill(Number.parseInt(workerd, 10), "SIGKILL");
    expect(await command.ended).toBe(1);
    expect(command.output).toContain("workerd ended unexpectedly (SIGKILL).");
  });
});

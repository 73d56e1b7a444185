import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readOrWriteVars, withSimulator } from "../../scripts/start/vars.ts";

const NOW = "http://127.0.0.1:9001";
const RUN = { ISBNDB_BASE_URL: NOW, SIMULATOR_CONTROL_URL: `${NOW}/_simulator` };

const RANDOM = ["KEY_PEPPER", "SESSION_SECRET", "METRICS_TOKEN", "ALERTMANAGER_TOKEN", "GRAFANA_SECRET", "DATADOG_TOKEN"];

describe("the provider of a local run", () => {
  it("is this run's simulator where the file names an earlier run's", () => {
    const earlier = { ISBNDB_BASE_URL: "http://127.0.0.1:8788", SIMULATOR_CONTROL_URL: "http://127.0.0.1:8788/_simulator" };
    expect(withSimulator({ ADMIN_TOKEN: "t", ...earlier }, NOW)).toEqual({ ADMIN_TOKEN: "t", ...RUN });
  });

  it("is the simulator where the file names none", () => {
    expect(withSimulator({}, NOW)).toEqual(RUN);
  });

  it.each(["https://api.premium.isbndb.com", "http://127.0.0.1:7000", "nonsense"])("is %s where the user chose it", (chosen) => {
    expect(withSimulator({ ...RUN, ISBNDB_BASE_URL: chosen }, NOW)).toEqual({ ...RUN, ISBNDB_BASE_URL: chosen });
  });
});

describe("the file of local values", () => {
  const folder = mkdtempSync(join(tmpdir(), "vars-"));
  const file = join(folder, "vars");
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("is written once, and read from then on", () => {
    const first = readOrWriteVars(file, NOW);
    expect(first).toMatchObject({ ALLOW_PRIVATE_WEBHOOKS: "true" });
    const written = readFileSync(file, "utf8");
    expect(readOrWriteVars(file, "http://127.0.0.1:9999")).toEqual(first);
    expect(readFileSync(file, "utf8")).toBe(written);
  });

  it("gets a random secret added that it did not need when it was written, and keeps every line", () => {
    const old = 'ADMIN_TOKEN="my-own-token-0123456789"\n# a remark\nISBNDB_API_KEY=mine';
    writeFileSync(file, old);
    const vars = readOrWriteVars(file, NOW);
    expect(vars).toEqual({
      ADMIN_TOKEN: "my-own-token-0123456789",
      ISBNDB_API_KEY: "mine",
      ...Object.fromEntries(RANDOM.map((name) => [name, expect.stringMatching(/^local-[0-9a-f]{48}$/u)])),
      ALLOW_PRIVATE_WEBHOOKS: "true",
    });
    expect(new Set(RANDOM.map((name) => vars[name])).size).toBe(RANDOM.length);
    expect(readFileSync(file, "utf8").startsWith(old)).toBe(true);
    expect(readOrWriteVars(file, NOW)).toEqual(vars);
  });

  it("gets nothing added that somebody has to choose: its absence is told by the Worker", () => {
    const own = { ...Object.fromEntries(RANDOM.map((name) => [name, "a-secret-0123456789"])), ALLOW_PRIVATE_WEBHOOKS: "false" };
    const lines = Object.entries(own).map(([name, value]) => `${name}="${value}"\n`);
    writeFileSync(file, lines.join(""));
    expect(readOrWriteVars(file, NOW)).toEqual(own);
    expect(readFileSync(file, "utf8")).toBe(lines.join(""));
  });
});

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readOrWriteVars, withSimulator } from "../../scripts/start/vars.ts";

const NOW = "http://127.0.0.1:9001";
const RUN = { ISBNDB_BASE_URL: NOW, SIMULATOR_CONTROL_URL: `${NOW}/_simulator` };

const RANDOM = ["KEY_PEPPER", "SESSION_SECRET", "METRICS_TOKEN", "ALERTMANAGER_TOKEN", "GRAFANA_SECRET", "DATADOG_TOKEN"];

describe("the provider of a local run", () => {
  it("replaces the simulator of an earlier run", () => {
    const earlier = { ISBNDB_BASE_URL: "http://127.0.0.1:8788", SIMULATOR_CONTROL_URL: "http://127.0.0.1:8788/_simulator" };
    expect(withSimulator({ ADMIN_TOKEN: "t", ...earlier }, NOW)).toEqual({ ADMIN_TOKEN: "t", ...RUN });
  });

  it("is the simulator by default", () => {
    expect(withSimulator({}, NOW)).toEqual(RUN);
  });

  it.each(["https://api.premium.isbndb.com", "http://127.0.0.1:7000", "nonsense"])("is %s if the user chose it", (chosen) => {
    expect(withSimulator({ ...RUN, ISBNDB_BASE_URL: chosen }, NOW)).toEqual({ ...RUN, ISBNDB_BASE_URL: chosen });
  });
});

describe("the file of local values", () => {
  const folder = mkdtempSync(join(tmpdir(), "vars-"));
  const file = join(folder, "vars");
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("is written once and then only read", () => {
    const first = readOrWriteVars(file, NOW);
    expect(first).toMatchObject({ ALLOW_PRIVATE_WEBHOOKS: "true" });
    const written = readFileSync(file, "utf8");
    expect(readOrWriteVars(file, "http://127.0.0.1:9999")).toEqual(first);
    expect(readFileSync(file, "utf8")).toBe(written);
  });

  it("gets missing random secrets and keeps all lines", () => {
    const old = 'ADMIN_TOKEN="my-own-token-0123456789"\n# a comment\nISBNDB_API_KEY=mine';
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

  it("gets no values that the user must choose", () => {
    const own = { ...Object.fromEntries(RANDOM.map((name) => [name, "a-secret-0123456789"])), ALLOW_PRIVATE_WEBHOOKS: "false" };
    const lines = Object.entries(own).map(([name, value]) => `${name}="${value}"\n`);
    writeFileSync(file, lines.join(""));
    expect(readOrWriteVars(file, NOW)).toEqual(own);
    expect(readFileSync(file, "utf8")).toBe(lines.join(""));
  });
});

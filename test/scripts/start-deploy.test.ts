import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "../support/node/process.ts";

const DEPLOY = "scripts/deploy.ts";

describe("npm run deploy", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "deploy-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("checks and builds with --dry-run, and deploys nothing", async () => {
    const { code, output } = await run([DEPLOY, "--dry-run"]);
    expect(output).toContain("The configuration is right and the Worker builds. Nothing was deployed.");
    expect(code).toBe(0);
  });

  it("stops at a wrong configuration, in the words of npm start", async () => {
    const secrets = join(folder, "secrets");
    writeFileSync(secrets, "ADMIN_TOKEN=short\nKEY_PEPPER=salt\n");
    const { code, output } = await run([DEPLOY, "--dry-run", "--secrets-file", secrets]);
    expect(output).toMatch(/^ADMIN_TOKEN is set, but not usable; expected .+$/mu);
    expect(output).toMatch(/^KEY_PEPPER is set, but not usable; expected .+$/mu);
    expect(output).toContain("Nothing was deployed.");
    expect(output).not.toContain("$ wrangler");
    expect(code).toBe(1);
  });

  it("names the secrets that are required, and those that are optional", async () => {
    const { output } = await run([DEPLOY, "--help"]);
    expect(output).toContain("\n  required  ADMIN_TOKEN, ISBNDB_API_KEY, KEY_PEPPER, SESSION_SECRET\n");
    expect(output).toContain("\n  optional  METRICS_TOKEN, ALERTMANAGER_TOKEN, GRAFANA_SECRET, DATADOG_TOKEN\n");
  });

  it("wants a secrets file that is there", async () => {
    const { code, output } = await run([DEPLOY, "--dry-run", "--secrets-file", "no-such-file"]);
    expect({ code, output }).toEqual({ code: 1, output: `--secrets-file is "no-such-file"; there is no such file.\n` });
  });
});

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { run } from "../support/node/process.ts";
import { SOAK } from "../support/node/soak.ts";

const DEPLOY = "scripts/deploy.ts";

describe("npm run deploy", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "deploy-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("checks and builds with --dry-run without deploying", async () => {
    const { code, output } = await run([DEPLOY, "--dry-run"]);
    expect(output).toContain("The configuration is valid and the Worker builds. Nothing was deployed.");
    expect(code).toBe(0);
  });

  it("stops at a reset whose cron never fires", async () => {
    const secrets = join(folder, "never");
    writeFileSync(secrets, 'QUOTA_RESET_SCHEDULE="0 3 * * *"\n');
    const { code, output } = await run([DEPLOY, "--dry-run", "--secrets-file", secrets]);
    expect(output).toMatch(/^QUOTA_RESET_SCHEDULE must be one of the cron triggers .*"0 0 \* \* \*".* \(got "0 3 \* \* \*"\)$/mu);
    expect(output).toContain("Nothing was deployed.");
    expect(output).not.toContain("$ wrangler");
    expect(code).toBe(1);
  });

  // `npm test` checks these messages with `npm start`.
  it.each(SOAK ? ["messages"] : [])("stops at an invalid configuration with the %s of npm start", async () => {
    const secrets = join(folder, "secrets");
    writeFileSync(secrets, "ADMIN_TOKEN=short\nKEY_PEPPER=salt\n");
    const { code, output } = await run([DEPLOY, "--dry-run", "--secrets-file", secrets]);
    expect(output).toMatch(/^ADMIN_TOKEN must be .+ \(set, but not usable\)$/mu);
    expect(output).toMatch(/^KEY_PEPPER must be .+ \(set, but not usable\)$/mu);
    expect(output).toContain("Nothing was deployed.");
    expect(output).not.toContain("$ wrangler");
    expect(code).toBe(1);
  });

  it("lists required and optional secrets", async () => {
    const { output } = await run([DEPLOY, "--help"]);
    expect(output).toContain("\n  required  ADMIN_TOKEN, ISBNDB_API_KEY, KEY_PEPPER, SESSION_SECRET\n");
    expect(output).toContain("\n  optional  METRICS_TOKEN, ALERTMANAGER_TOKEN, GRAFANA_SECRET, DATADOG_TOKEN\n");
  });

  it("refuses a missing secrets file", async () => {
    const { code, output } = await run([DEPLOY, "--dry-run", "--secrets-file", "no-such-file"]);
    expect({ code, output }).toEqual({ code: 1, output: `--secrets-file "no-such-file" does not exist.\n` });
  });
});

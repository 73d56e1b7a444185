import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UserError } from "../../scripts/start/user-error.js";
import { readOptions } from "../../scripts/start/options.ts";
import { START } from "../support/node/coordinator.ts";
import { freePorts, run } from "../support/node/process.ts";
import { SOAK } from "../support/node/soak.ts";

/** Loaded before the command: the sockets of its port check stay open, as if another process took the ports right after the check. */
const PORTS_TAKEN = `import { Server } from "node:net";
Server.prototype.close = function (done) {
  done?.();
  return this;
};`;

describe("npm start refuses", () => {
  let folder = "";
  const start = async (...options: string[]) =>
    run([START, `--state=${join(folder, "state")}`, `--vars=${join(folder, "vars")}`, ...options]);

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "start-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each([
    [["--prot=9000"], /^Unknown option --prot\. Options: --port, --simulator-port, .*\n$/u],
    [["9000"], `Unexpected argument "9000". Write options after "--": npm start -- --port N\n`],
  ])("%j with one line", async (options, sentence) => {
    const { code, output } = await start(...options);
    expect(output).toMatch(sentence);
    expect(code).toBe(1);
  });

  it.each([
    [["--port=abc"], `--port must be a whole number from 1 to 65535 (got "abc").`],
    [["--simulator-port=65536"], `--simulator-port must be a whole number from 1 to 65535 (got "65536").`],
    [["--port=9000", "--simulator-port=9000"], `--port and --simulator-port must differ (got 9000 for both).`],
    [["--port=65535"], `--port is 65535, the last port. Add --simulator-port.`],
    [["--plan=free"], `--plan needs --strict-platform. Add --strict-platform.`],
    [["--strict-platform", "--plan=pro"], `--plan must be one of paid, free (got "pro").`],
    [["--vars="], `--vars must be a path (got "").`],
  ])("%j", (options, sentence) => {
    expect(() => readOptions(options)).toThrow(new UserError(sentence));
  });

  it("a port in use, with the name of its option", async () => {
    const port = await freePorts();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port + 1, "127.0.0.1", resolve));
    const [own, simulators] = [await start(`--port=${port + 1}`), await start(`--port=${port}`)];
    server.close();
    expect(own).toEqual({ code: 1, output: `Port ${port + 1} is in use. Choose another: npm start -- --port N.\n` });
    expect(simulators.output).toBe(`Port ${port + 1} is in use. Choose another: npm start -- --simulator-port N.\n`);
  });

  it("a port that another process takes after the check", async () => {
    const port = await freePorts();
    const own = [`--port=${port}`, `--state=${join(folder, "state")}`, `--vars=${join(folder, "vars")}`];
    const { code, output } = await run(["--import", `data:text/javascript,${encodeURIComponent(PORTS_TAKEN)}`, START, ...own]);
    expect(code).toBe(1);
    expect(output).toMatch(
      new RegExp(
        `\\nPort (${port} is in use. Choose another: npm start -- --port|${port + 1} is in use. Choose another: npm start -- --simulator-port) N.\\n$`,
        "u",
      ),
    );
  });

  // `npm test` tests this refusal only through `npm run deploy`, which starts half as many parts and is faster.
  it.each(SOAK ? ["cron"] : [])("a reset whose %s never fires", async () => {
    const vars = 'ADMIN_TOKEN="a-token-of-some-length"\nISBNDB_API_KEY="simulator-key"\nQUOTA_RESET_SCHEDULE="0 3 * * *"\n';
    writeFileSync(join(folder, "never"), vars);
    const { code, output } = await start(`--port=${await freePorts()}`, `--vars=${join(folder, "never")}`);
    expect(code).toBe(1);
    expect(output).toMatch(/^QUOTA_RESET_SCHEDULE must be one of the cron triggers .*"0 0 \* \* \*".* \(got "0 3 \* \* \*"\)$/mu);
  });

  it("an invalid configuration, with all values and accepted values", async () => {
    writeFileSync(join(folder, "wrong"), "ADMIN_TOKEN=short\nKEY_PEPPER=salt\nQUOTA_DAILY_LIMIT=many\nISBNDB_BASE_URL=nowhere\n");
    const { code, output } = await start(`--port=${await freePorts()}`, `--vars=${join(folder, "wrong")}`);
    expect(code).toBe(1);
    for (const complaint of [
      /^ADMIN_TOKEN must be .+ \(set, but not usable\)$/mu,
      /^ISBNDB_API_KEY must be .+ \(not set\)$/mu,
      /^KEY_PEPPER must be a secret of at least 16 characters \(set, but not usable\)$/mu,
      /^ISBNDB_BASE_URL must be an http or https URL \(got "nowhere"\)$/mu,
      /^QUOTA_DAILY_LIMIT must be a whole number .+ \(got "many"\)$/mu,
    ]) {
      expect(output).toMatch(complaint);
    }
    expect(output).not.toMatch(/^\s+at /mu);
  });
});

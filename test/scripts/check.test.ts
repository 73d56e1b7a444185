import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { readOrWriteVars } from "../../scripts/start/vars.ts";
import { ROOT } from "../support/node/process.ts";

const folder = mkdtempSync(join(tmpdir(), "checkout-"));
afterAll(() => rmSync(folder, { recursive: true }));

it("npm run check accepts the generated types of the Worker after npm start has written .dev.vars", () => {
  for (const part of ["package.json", "wrangler.jsonc", "worker"]) cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  readOrWriteVars(join(folder, ".dev.vars"), "http://127.0.0.1:8788");
  const env = { ...process.env, WRANGLER_WRITE_LOGS: "false" };
  const { status, stdout } = spawnSync("npm", ["run", "check:bindings"], { cwd: folder, encoding: "utf8", env });
  expect(stdout).toContain("up to date");
  expect(status).toBe(0);
});

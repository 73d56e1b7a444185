import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ensureDependencies } from "../../scripts/start/dependencies.js";
import { copyAssets } from "../../scripts/start/assets.js";
import { run } from "../support/node/process.ts";

const PROGRAMS = ["node", "workerd", "esbuild"];

function write(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { mode: 0o755 });
}

describe("setup", () => {
  let root = "";
  let installs = 0;

  const lock = (zod: string): string =>
    JSON.stringify({
      packages: {
        "": { name: "project" },
        "node_modules/zod": { version: zod, integrity: `sha512-${zod}` },
        "node_modules/for-another-platform": { version: "1.0.0", optional: true },
      },
    });

  /** Files of `npm ci` that setup checks. */
  const install = (folder: string): void => {
    installs += 1;
    rmSync(join(folder, "node_modules"), { recursive: true, force: true });
    write(join(folder, "node_modules/zod/package.json"), "{}");
    for (const name of PROGRAMS) write(join(folder, "node_modules/.bin", name), "#!/bin/sh\nexit 0\n");
    const { packages } = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8")) as { packages: Record<string, unknown> };
    write(
      join(folder, "node_modules/.package-lock.json"),
      JSON.stringify({ packages: { "node_modules/zod": packages["node_modules/zod"] } }),
    );
  };
  const ensure = async (): Promise<void> => ensureDependencies(root, install);

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "setup-"));
    installs = 0;
    write(join(root, "package-lock.json"), lock("4.0.0"));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  it("installs once", async () => {
    await ensure();
    await ensure();
    expect(installs).toBe(1);
  });

  it("installs again when package-lock.json changes", async () => {
    await ensure();
    write(join(root, "package-lock.json"), lock("4.1.0"));
    await ensure();
    expect(installs).toBe(2);
  });

  it("keeps the packages of a manual `npm ci`", async () => {
    install(root);
    await ensure();
    expect(installs).toBe(1);
  });

  it.each([
    ["a package is missing", "node_modules/zod"],
    ["a program is missing", "node_modules/.bin/node"],
    ["npm has not finished", "node_modules/.package-lock.json"],
  ])("installs again when %s", async (_, path) => {
    await ensure();
    rmSync(join(root, path), { recursive: true });
    rmSync(join(root, "node_modules/.setup"));
    await ensure();
    expect(installs).toBe(2);
  });

  it("installs again when a program no longer runs", async () => {
    await ensure();
    write(join(root, "node_modules/.bin/workerd"), "#!/bin/sh\nexit 127\n");
    await ensure();
    expect(installs).toBe(2);
  });

  it("names a program that does not run after an install", async () => {
    const withoutScripts = (folder: string): void => {
      install(folder);
      rmSync(join(folder, "node_modules/.bin/node"));
    };
    await expect(ensureDependencies(root, withoutScripts)).rejects.toThrow(/node_modules\/\.bin\/node does not run/u);
  });

  it("explains how to restore a missing package-lock.json", async () => {
    rmSync(join(root, "package-lock.json"));
    await expect(ensure()).rejects.toThrow("git checkout package-lock.json");
  });

  it("waits for another setup instead of installing twice", async () => {
    await Promise.all([ensure(), ensure(), ensure()]);
    expect(installs).toBe(1);
  });

  it("copies the files of viewer and dashboard again when one changes", () => {
    for (const name of ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"]) {
      write(join(root, "node_modules/swagger-ui-dist", name), name);
    }
    const styles = ["base", "frame", "verdict", "charts", "lists", "tables", "forms"].map((name) => `styles/${name}.css`);
    for (const name of [...styles, "dashboard.js", "icon.svg"]) write(join(root, "worker/src/dashboard/browser", name), `${name}\n`);
    write(join(root, "worker/_headers"), "/*\n  X-Frame-Options: DENY\n");
    write(join(root, "scripts/docs-assets/start.js"), "old");
    copyAssets(root);
    write(join(root, "scripts/docs-assets/start.js"), "new");
    copyAssets(root);
    const copied = join(root, "worker/assets/docs-assets");
    expect(readFileSync(join(copied, "swagger-ui.css"), "utf8")).toBe("swagger-ui.css");
    expect(readFileSync(join(copied, "start.js"), "utf8")).toBe("new");
    expect(readFileSync(join(root, "worker/assets/dashboard-assets/icon.svg"), "utf8")).toBe("icon.svg\n");
    expect(readFileSync(join(root, "worker/assets/_headers"), "utf8")).toContain("DENY");
    expect(readFileSync(join(root, "worker/assets/dashboard-assets/dashboard.css"), "utf8")).toBe(`${styles.join("\n")}\n`);
  });

  it("refuses an old version of Node", async () => {
    const pretend = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "18.20.4" } })`;
    expect(await run(["--import", `data:text/javascript,${encodeURIComponent(pretend)}`, "scripts/setup.js"])).toEqual({
      code: 1,
      output: "Node 20 or newer is required (got Node 18.20.4). See https://nodejs.org.\n",
    });
  });

  it("prints nothing if everything is installed", async () => {
    await run(["scripts/setup.js"]);
    expect(await run(["scripts/setup.js"])).toEqual({ code: 0, output: "" });
  });
});

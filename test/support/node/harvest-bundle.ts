/** Builds the harvest command as one JavaScript file, once for all test files. Node takes three times as long to load its TypeScript files. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import type { TestProject } from "vitest/node";
import { ROOT } from "./process.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Path of the file. */
    readonly harvestBundle: string;
  }
}

export default async function setup(project: TestProject): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), "harvest-command-"));
  const outfile = join(folder, "harvest.mjs");
  const entryPoints = [`${ROOT}scripts/bulk-author-harvest.ts`];
  await build({ entryPoints, outfile, bundle: true, format: "esm", platform: "node", target: "node20" });
  project.provide("harvestBundle", outfile);
  return () => rmSync(folder, { recursive: true, force: true });
}

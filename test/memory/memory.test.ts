/** All requests of a Worker's instance share 128 MB. workerd has no such limit locally, so Node runs the same modules with a limited heap. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Plugin } from "esbuild";
import { afterAll, expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** V8 keeps new objects in three such spaces. */
const SEMI_SPACE_MB = 8;
/** Three semi-spaces, 40 MB for bytes outside of the heap, and this are the platform's 128 MB. */
const HEAP_MB = 64;
const TOO_SMALL_HEAP_MB = 24;

/** The provider fails above about 6 MB for its 1,000 records. */
const RECORD_BYTES = 6_000;

const folder = mkdtempSync(join(tmpdir(), "memory-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The product imports these, but the program does not use them. */
const withoutRuntime: Plugin = {
  name: "the module of workerd",
  setup(bundle) {
    bundle.onResolve({ filter: /^cloudflare:/ }, ({ path }) => ({ path, namespace: "runtime" }));
    bundle.onLoad({ filter: /./, namespace: "runtime" }, () => ({
      contents: "export class DurableObject {} export class WorkflowEntrypoint {} export const waitUntil = () => undefined;",
    }));
  },
};

/** Runs batches of 1,000 records at the same time. */
async function run(batches: number, heapMb: number) {
  const outfile = join(folder, `${batches}-${heapMb}.mjs`);
  await build({
    entryPoints: [`${ROOT}test/memory/program.ts`],
    bundle: true,
    outfile,
    format: "esm",
    platform: "node",
    target: "node22",
    alias: { zod: `${ROOT}worker/zod.js` },
    define: { BATCHES: String(batches), RECORD_BYTES: String(RECORD_BYTES) },
    plugins: [withoutRuntime],
  });
  const options = [`--max-old-space-size=${heapMb}`, `--max-semi-space-size=${SEMI_SPACE_MB}`];
  const { status, stdout, stderr } = spawnSync(process.execPath, [...options, outfile], { encoding: "utf8" });
  return { status, last: stdout.trimEnd().split("\n").at(-1), outOfMemory: stderr.includes("heap out of memory") };
}

test("three full batches of 1,000 fit into the memory of one instance", async () => {
  expect(await run(3, HEAP_MB)).toEqual({ status: 0, last: "enriched 3000", outOfMemory: false });
});

test("a program that needs more than the limit ends", async () => {
  expect(await run(3, TOO_SMALL_HEAP_MB)).toMatchObject({ status: null, outOfMemory: true });
});

import { existsSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { build } from "esbuild";
import { defineConfig } from "vitest/config";
import { unstable_readConfig } from "wrangler";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Includes tests that take minutes. */
const soak = (process.env["SOAK"] ?? process.env["STORM_SEED"]) !== undefined;
/** Set by `npm run record-release`, which then runs the recorder and no test. */
const release = process.env["RECORD_RELEASE"] ?? "";

const MEMORY = "/dev/shm";
const ROOM = 4 * 1024 ** 3;

/** A memory disk with enough free space, or null. */
function memoryDisk(): string | null {
  if (!existsSync(MEMORY)) return null;
  const { bavail, bsize } = statfsSync(MEMORY);
  return bavail * bsize > ROOM ? MEMORY : null;
}

// Each test begins with empty stores. Thousands of short-lived databases are faster in memory than on a disk. Programs that Node's tests
// start keep the usual folder, because programs may not be run from memory.
const usualFolder = tmpdir();
process.env["TMPDIR"] = process.env["TMPDIR"] ?? memoryDisk() ?? usualFolder;

/** The simulator answers every outbound request of the Worker under test, from a separate isolate. */
async function simulator() {
  const { outputFiles } = await build({
    entryPoints: [`${root}scripts/isbndb-simulator/worker.ts`],
    bundle: true,
    write: false,
    format: "esm",
    conditions: ["workerd"],
    external: ["cloudflare:*"],
  });
  return {
    name: "isbndb-simulator",
    modules: [{ type: "ESModule" as const, path: "worker.js", contents: outputFiles[0]?.text ?? "" }],
    compatibilityDate: "2026-11-01",
    durableObjects: { ACCOUNT: { className: "SimulatedAccount", useSQLite: true } },
    bindings: { SIMULATOR_API_KEY: "simulator-key" },
  };
}

const workerPlugin = () =>
  cloudflareTest(async () => ({
    wrangler: { configPath: `${root}wrangler.jsonc` },
    miniflare: {
      bindings: {
        ADMIN_TOKEN: "test-admin-token-0123456789",
        ISBNDB_API_KEY: "simulator-key",
        KEY_PEPPER: "test-key-pepper-0123456789",
        SESSION_SECRET: "test-session-secret-0123456789",
        METRICS_TOKEN: "test-metrics-token-0123456789",
        ALERTMANAGER_TOKEN: "test-alertmanager-token-0123456789",
        GRAFANA_SECRET: "test-grafana-secret-0123456789",
        DATADOG_TOKEN: "test-datadog-token-0123456789",
        ISBNDB_BASE_URL: "http://isbndb.test",
        // No pace. A test that needs one sets it.
        ISBNDB_RATE_PER_SECOND: "0",
        // The deployed value. The .dev.vars that `npm start` writes has another one.
        ALLOW_PRIVATE_WEBHOOKS: "false",
        // Many more random cases: npm run test:soak.
        TEST_SOAK: String(process.env["SOAK"] === "true"),
        // All tests run within Cloudflare's limits, not only those of flows.
        TEST_STRICT_PLATFORM: soak || process.env["STRICT_PLATFORM"] === "true",
        TEST_CRONS: unstable_readConfig({ config: `${root}wrangler.jsonc` }).triggers.crons ?? [],
        TEST_RELEASE: release,
        TEST_MIGRATIONS: await readD1Migrations(`${root}worker/migrations`),
        TEST_CATALOG_MIGRATIONS: await readD1Migrations(`${root}worker/catalog-migrations`),
      },
      serviceBindings: { SIMULATOR: "isbndb-simulator" },
      outboundService: "isbndb-simulator",
      workers: [await simulator()],
    },
  }));

/** The product's `waitUntil` keeps an invocation running after its client left, so that the strict platform must see it. */
const strictWaitUntil = {
  name: "waitUntil of the strict platform",
  enforce: "pre" as const,
  resolveId: (module: string, importer = "") =>
    module === "cloudflare:workers" && importer.startsWith(`${root}worker/src/`)
      ? `${root}scripts/strict-platform/runtime-module.ts`
      : null,
};

/**
 * Files with their own runtime, which costs two seconds of CPU per file. They configure Telegram or a trace collector, and the Worker reads its
 * configuration once. Or they need databases that no earlier file has used.
 */
const OWN_RUNTIME = [
  "test/faults/jobs/*.test.ts",
  "test/handlers/harvest.test.ts",
  "test/tenant-database/**/*.test.ts",
  "test/tenants/backups/**/*.test.ts",
  "test/upgrade/later-parts.test.ts",
];

/** Tests that run in Node: commands, the built product, and checks of the source. */
const NODE_FILES = [
  "test/scripts/**/*.test.ts",
  "test/e2e/**/*.test.ts",
  "test/words/*.test.ts",
  "test/client/*.test.ts",
  "test/memory/*.test.ts",
  "test/architecture.test.ts",
  "test/file-sizes.test.ts",
  "test/zod.test.ts",
];

const NO_SECRETS = "test/support/no-secrets.ts";
const STRICT_PLATFORM = "test/support/strict-platform.ts";

export default defineConfig({
  root,
  test: {
    // The suite is made for two cores. It runs more files at a time, because most files wait for I/O half of the time.
    maxWorkers: 3,
    // The Worker's log is shown only for failed tests.
    silent: "passed-only",
    coverage: {
      provider: "istanbul",
      include: ["worker/src/**/*.{ts,tsx}"],
      reporter: ["text-summary", "json-summary", "html"],
      thresholds: { lines: 90 },
    },
    projects: [
      {
        plugins: [strictWaitUntil, workerPlugin()],
        test: {
          name: "worker",
          include: [release === "" ? "test/**/*.test.ts" : "test/upgrade/record/release.ts"],
          exclude: [...NODE_FILES, ...OWN_RUNTIME],
          // Reloading the Worker for each file took half of the suite's time. new-file.ts resets the state after the previous file.
          isolate: false,
          // A recording keeps the suite's secrets, because later tests use them.
          setupFiles: release === "" ? [STRICT_PLATFORM, "test/support/new-file.ts", NO_SECRETS] : [],
          testTimeout: 60_000,
        },
      },
      {
        plugins: [strictWaitUntil, workerPlugin()],
        test: {
          name: "worker-own-runtime",
          include: release === "" ? OWN_RUNTIME : [],
          setupFiles: [STRICT_PLATFORM, NO_SECRETS],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: "node",
          include: NODE_FILES,
          globalSetup: "test/support/node/harvest-bundle.ts",
          exclude: soak ? [] : ["test/e2e/whole-storm.test.ts", "test/scripts/bench-run.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          env: { CLOUDFLARE_CF_FETCH_ENABLED: "false", WRANGLER_SEND_METRICS: "false", TMPDIR: usualFolder },
        },
      },
    ],
  },
});

/** Runs one Worker of a wrangler.jsonc in local workerd. The only file that uses wrangler's API. */
import { devNull } from "node:os";
import { dirname, resolve } from "node:path";
import type { Miniflare } from "miniflare";
import type { unstable_DevEnv as DevEnv } from "wrangler";
import { UserError } from "./user-error.js";
import type { RuntimeLog } from "./logs.ts";
import { HOST, portTaken } from "./ports.ts";
import { miniflare, wrangler } from "./wrangler.ts";

export type Database = Awaited<ReturnType<Miniflare["getD1Database"]>>;

/** How wrangler's message begins. It has no code. */
const ADDRESS_IN_USE = "Address already in use";

interface RuntimeOptions {
  /** Path of a wrangler.jsonc. */
  readonly config: string;
  /** Path of another entry point than the configured one. Its folder has a tsconfig.json. */
  readonly entrypoint?: string;
  /** 0: the system chooses a free port. */
  readonly port: number;
  /** The command-line option that sets the port. Errors name it. */
  readonly portOption?: string;
  /** Folder for all storage. */
  readonly state: string;
  /** Overrides variables of the configuration. */
  readonly vars: Readonly<Record<string, string>>;
  readonly watch?: boolean;
  /** Outgoing requests of the Worker fail with 503. */
  readonly network?: "blocked";
  readonly onLog: (log: RuntimeLog) => void;
  /** Result of each rebuild. null: it succeeded. */
  readonly onReload?: (failure: string | null) => void;
}

export interface BoundDatabase {
  readonly database: Database;
  /** Name on Cloudflare. */
  readonly name: string;
  /** Folder of its migrations. */
  readonly migrations: string;
}

export interface Runtime {
  readonly url: string;
  /** Cron expressions of the configuration. */
  readonly crons: readonly string[];
  database(binding: string): Promise<BoundDatabase>;
  dispose(): Promise<void>;
}

/** Throws `UserError` if the configuration is unreadable, the build fails or the port is in use. */
export async function startRuntime({
  config,
  entrypoint,
  port,
  portOption = "",
  state,
  vars,
  watch = false,
  network,
  onLog,
  onReload,
}: RuntimeOptions): Promise<Runtime> {
  const environment = new wrangler.unstable_DevEnv();
  const startError = (event: unknown): UserError => {
    const reason = reasonOf(event);
    return reason.startsWith(ADDRESS_IN_USE) ? portTaken(port, portOption) : new UserError(reason);
  };
  let started = false;
  const ready = new Promise<void>((resolve, reject) => {
    const failed = (event: unknown) => {
      if (started) onReload?.(reasonOf(event));
      else reject(startError(event));
    };
    environment.on("error", failed);
    environment.on("buildFailed", failed);
    environment.on("reloadComplete", () => {
      if (started) onReload?.(null);
      started = true;
      resolve();
    });
  });
  const options = {
    config,
    ...(entrypoint === undefined ? {} : { entrypoint, build: { tsconfig: resolve(dirname(entrypoint), "tsconfig.json") } }),
    // Keeps wrangler from reading .dev.vars and .env files.
    envFiles: [devNull],
    bindings: Object.fromEntries(Object.entries(vars).map(([name, value]) => [name, { type: "secret_text" as const, value }])),
    dev: {
      server: { hostname: HOST, port },
      persist: state,
      watch,
      remote: false,
      inspector: false,
      logLevel: "none" as const,
      structuredLogsHandler: onLog,
      ...(network === "blocked" ? { outboundService: () => new miniflare.Response(null, { status: 503 }) } : {}),
    },
  };
  const rethrow = (error: unknown): never => {
    throw startError(error);
  };
  const [worker] = await Promise.all([environment.startWorker(options).catch(rethrow), ready]);
  return {
    url: (await worker.url).origin,
    crons: (worker.config.triggers ?? []).flatMap(({ cron }: { cron?: string }) => (cron === undefined ? [] : [cron])),
    database: async (binding) => {
      const { database_name, migrations_dir } = settingsOf(worker.config.bindings, binding);
      const database = await miniflareOf(environment).getD1Database(binding);
      return { database, name: String(database_name), migrations: resolve(dirname(config), String(migrations_dir)) };
    },
    dispose: async () => worker.dispose(),
  };
}

function miniflareOf(environment: DevEnv): Miniflare {
  const [runtime] = environment.runtimes;
  if (runtime && "mf" in runtime && runtime.mf instanceof miniflare.Miniflare) return runtime.mf;
  throw new Error("this version of wrangler has no Miniflare in its runtime");
}

function settingsOf(bindings: Readonly<Record<string, unknown>> | undefined, name: string): Record<string, unknown> {
  const binding = bindings?.[name];
  if (typeof binding === "object" && binding !== null) return { ...binding };
  throw new Error(`the configuration has no binding ${name}`);
}

/** Message of a wrangler error. Its errors wrap others, and a failed build lists its reasons. */
function reasonOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return String(error);
  if ("errors" in error && Array.isArray(error.errors) && error.errors.length > 0) return error.errors.map(buildError).join("\n");
  if ("cause" in error && error.cause) return reasonOf(error.cause);
  if (isBuildError(error)) return buildError(error);
  return "message" in error ? String(error.message) : JSON.stringify(error);
}

interface BuildError {
  readonly text: string;
  readonly location?: { readonly file: string; readonly line: number; readonly column: number } | null;
}

function isBuildError(error: object): error is BuildError {
  return "text" in error && "location" in error;
}

function buildError({ text, location }: BuildError): string {
  return location ? `${location.file}:${location.line}:${location.column}: ${text}` : text;
}

/** Composition root: turns configuration and bindings into services, one set per request. */
import { configOf } from "./env.ts";
import type { Config } from "./env.ts";
import { createIsbndbClient } from "./providers/isbndb/index.ts";
import type { CallReport, IsbndbClient } from "./providers/isbndb/index.ts";
import { PerBinding } from "./lib/recent.ts";
import { JobQueue } from "./jobs/enqueue.ts";
import { JobRelay } from "./jobs/relay.ts";
import { EnforcementSwitchReader, PublicAnswers, QuotaAdmin, QuotaKv, QuotaManager, RefusalMemory } from "./quota/index.ts";
import type { ProviderCount, ProviderReport } from "./quota/index.ts";
import { ServiceRegistry } from "./services/registration.ts";
import { CountedDatabase } from "./store/statements.ts";
import { traceFrom } from "./telemetry/index.ts";
import type { RootTrace, Trace } from "./telemetry/index.ts";
import { TelegramClient } from "./telegram/index.ts";
import { TenantDatabases } from "./tenant-database/index.ts";

/** The only provider so far. A second one would be a second ledger. */
export const PROVIDER = "isbndb";

/** `GET /key` must answer quickly, because a first request waits for it. */
const KEY_TIMEOUT_MS = 3_000;

export interface Deps {
  readonly config: Config;
  /** Epoch milliseconds. */
  readonly clock: () => number;
  /** Counts the statements of this invocation. */
  readonly db: CountedDatabase;
  /** Books, authors and the harvest. A database of its own: full, it stops nothing else. Counts together with `db`. */
  readonly catalog: CountedDatabase;
  readonly isbndb: IsbndbClient;
  readonly quota: QuotaManager;
  readonly quotaAdmin: QuotaAdmin;
  /** The provider's own count (`GET /key`, free). */
  readonly readProviderCount: () => Promise<ProviderCount>;
  /** Creates jobs. */
  readonly jobs: JobQueue;
  /** Synchronizes the index of jobs with their instances. */
  readonly relay: JobRelay;
  /** Parent of new spans. A function that opens a span passes it on: `work({ ...deps, trace: span })`. */
  readonly trace: Trace;
  readonly tenantDatabases: TenantDatabases;
  /** Bucket for the bytes of backups. */
  readonly backups: R2Bucket;
  /** null: no bot is configured. */
  readonly telegram: TelegramClient | null;
  /** Clients of the services that are notified of new projects. */
  readonly services: ServiceRegistry;
  /** Lets work finish if the client disconnects, which cancels the rest of the request. */
  readonly keepAlive: (work: Promise<unknown>) => void;
}

/** Parts of one invocation. All steps of a job share their database, because they may share the platform's limit. */
export type Invocation = Pick<Deps, "db" | "keepAlive">;

/** The account's state according to the provider's response. */
export function providerReport({ requestedAt, receivedAt, daily, rate }: CallReport): ProviderReport {
  return { requestedAt, receivedAt, daily, rate };
}

/** An instance's knowledge of the quota, which outlives a request. */
const quotaKnowledge = new PerBinding((namespace: KVNamespace) => ({
  enforcementSwitch: new EnforcementSwitchReader(new QuotaKv(namespace, PROVIDER)),
  refusals: new RefusalMemory(),
  publicAnswers: new PublicAnswers(),
}));

type Services = Omit<Deps, "trace" | "jobs" | "relay" | "catalog" | keyof Invocation>;

/** Services of the previous request, reused because they contain no request state and bindings never change. */
const serviceCache = new WeakMap<object, Services>();

/** Only requests can be cancelled by a client. */
const NEVER_CANCELLED = (): void => undefined;

/** `traceparent`: the trace to continue. Without it a new trace starts. Throws `ConfigError` if the configuration is invalid. */
export function createDeps(
  env: Env,
  clock: () => number,
  traceparent?: string | null,
  { db = new CountedDatabase(env.DB), keepAlive = NEVER_CANCELLED }: Partial<Invocation> = {},
): Deps & { readonly trace: RootTrace } {
  const before = serviceCache.get(env);
  const services = before?.clock === clock ? before : createServices(env, clock);
  serviceCache.set(env, services);
  const { telemetry, secrets } = services.config;
  return {
    ...services,
    db,
    catalog: new CountedDatabase(env.CATALOG, db),
    keepAlive,
    jobs: new JobQueue({ db, workflow: env.JOBS, clock }),
    relay: new JobRelay({ db, workflow: env.JOBS, clock }),
    trace: traceFrom(traceparent, telemetry, { clock, secrets }),
  };
}

function createServices(env: Env, clock: () => number): Services {
  const config = configOf(env);
  const { baseUrl, apiKey, timeoutMs } = config.isbndb;
  const isbndb = createIsbndbClient({ baseUrl, apiKey, clock, timeoutMs });
  const keyClient = createIsbndbClient({ baseUrl, apiKey, clock, timeoutMs: KEY_TIMEOUT_MS });

  const readProviderCount = async (): Promise<ProviderCount> => {
    const { report, value } = await keyClient.key();
    if (value !== null) {
      return { kind: "count", report: { ...providerReport(report), daily: { left: value.left, limit: value.limit } } };
    }
    return { kind: report.outcome.meaning === "not_found" ? "none" : "failed" };
  };

  const kv = new QuotaKv(env.QUOTA_KV, PROVIDER);
  const shared = {
    namespace: env.QUOTA_LEDGER,
    provider: PROVIDER,
    kv,
    ...quotaKnowledge.of(env.QUOTA_KV),
    readProviderCount,
    clock,
  };
  return {
    config,
    clock,
    isbndb,
    quota: new QuotaManager({ ...shared, configuredEnforcement: config.quota.enforcement }),
    quotaAdmin: new QuotaAdmin(shared),
    readProviderCount,
    tenantDatabases: new TenantDatabases(env.TENANT_DATABASE),
    backups: env.BACKUPS,
    telegram: config.telegram === null ? null : new TelegramClient(config.telegram),
    services: new ServiceRegistry(config.services),
  };
}

/** Composition root: configuration and bindings become the services that the stories use. One set a request. */
import { configOf } from "./env.ts";
import type { Config } from "./env.ts";
import { createIsbndbClient } from "./providers/isbndb/index.ts";
import type { CallReport, IsbndbClient } from "./providers/isbndb/index.ts";
import { JobQueue } from "./jobs/enqueue.ts";
import { JobRelay } from "./jobs/relay.ts";
import { EnforcementSwitchReader, QuotaAdmin, QuotaKv, QuotaManager, RefusalMemory } from "./quota/index.ts";
import type { ProviderCount, ProviderReport } from "./quota/index.ts";
import { ServiceRegistry } from "./services/registration.ts";
import { traceFrom } from "./telemetry/index.ts";
import type { RootTrace, Trace } from "./telemetry/index.ts";
import { TelegramClient } from "./telegram/index.ts";
import { TenantDatabases } from "./tenant-database/index.ts";

/** The only provider so far; a second one is a second ledger. */
export const PROVIDER = "isbndb";

/** `GET /key` answers quickly or is not worth waiting for: it stands in the way of a first request only. */
const KEY_TIMEOUT_MS = 3_000;

export interface Deps {
  readonly config: Config;
  /** Epoch milliseconds. */
  readonly clock: () => number;
  readonly db: D1Database;
  readonly isbndb: IsbndbClient;
  readonly quota: QuotaManager;
  readonly quotaAdmin: QuotaAdmin;
  /** The provider's own count (`GET /key`, free). */
  readonly readProviderCount: () => Promise<ProviderCount>;
  /** Asks for jobs. */
  readonly jobs: JobQueue;
  /** Brings the index of jobs and their instances together again. */
  readonly relay: JobRelay;
  /** Where spans hang from. Whoever opens one hands it on: `work({ ...deps, trace: span })`. */
  readonly trace: Trace;
  readonly tenantDatabases: TenantDatabases;
  /** The bytes of backups. */
  readonly backups: R2Bucket;
  /** null: no bot is configured. */
  readonly telegram: TelegramClient | null;
  /** Learn of new projects. */
  readonly services: ServiceRegistry;
}

/** What the provider's answer said about our account. */
export function providerReport({ requestedAt, receivedAt, daily, rate }: CallReport): ProviderReport {
  return { requestedAt, receivedAt, daily, rate };
}

interface Believed {
  readonly enforcementSwitch: EnforcementSwitchReader;
  readonly refusals: RefusalMemory;
}

/** What an instance believes of the quota outlives a request. Keyed by binding, so that each environment has its own. */
const believed = new WeakMap<KVNamespace, Believed>();

function believedOf(namespace: KVNamespace, kv: QuotaKv): Believed {
  const known = believed.get(namespace) ?? { enforcementSwitch: new EnforcementSwitchReader(kv), refusals: new RefusalMemory() };
  believed.set(namespace, known);
  return known;
}

type Services = Omit<Deps, "trace">;

/** The services of the request before: nothing in them is a request's own, and bindings never change while an instance lives. */
const made = new WeakMap<object, Services>();

/** `traceparent`: the trace that goes on here; none begins one. Throws `ConfigError` where the configuration is wrong. */
export function createDeps(env: Env, clock: () => number, traceparent?: string | null): Deps & { readonly trace: RootTrace } {
  const before = made.get(env);
  const services = before?.clock === clock ? before : createServices(env, clock);
  made.set(env, services);
  const { telemetry, secrets } = services.config;
  return { ...services, trace: traceFrom(traceparent, telemetry, { clock, secrets }) };
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
    ...believedOf(env.QUOTA_KV, kv),
    readProviderCount,
    clock,
  };
  return {
    config,
    clock,
    db: env.DB,
    isbndb,
    quota: new QuotaManager({ ...shared, configuredEnforcement: config.quota.enforcement }),
    quotaAdmin: new QuotaAdmin(shared),
    readProviderCount,
    jobs: new JobQueue({ db: env.DB, workflow: env.JOBS, clock }),
    relay: new JobRelay({ db: env.DB, workflow: env.JOBS, clock }),
    tenantDatabases: new TenantDatabases(env.TENANT_DATABASE),
    backups: env.BACKUPS,
    telegram: config.telegram === null ? null : new TelegramClient(config.telegram),
    services: new ServiceRegistry(config.services),
  };
}

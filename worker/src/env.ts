/**
 * The Worker's configuration: read from the bindings once, typed, completed with defaults and validated. The same for every entry point.
 */
import type { z } from "zod";
import "./lib/field-errors.ts";
import { redactSecrets } from "./lib/log.ts";
import { SECRETS, variables } from "./env/variables.ts";
import type { BulkBilling, Enforcement } from "./env/variables.ts";

export { ENFORCEMENTS, MAX_CALLS, MAX_RATE_PER_SECOND, MIN_RATE_PER_SECOND } from "./env/variables.ts";
export type { BulkBilling, Enforcement } from "./env/variables.ts";

const BYTES_PER_MB = 1_000_000;
const TRACES_PATH = "/v1/traces";

export interface Config {
  readonly adminToken: string;
  /** Pepper for the hashes of API keys. Changing it invalidates all keys. */
  readonly keyPepper: string;
  /** Signs the dashboard's session cookies. Changing it signs out all users. */
  readonly sessionSecret: string;
  /** Allows reading /metrics only. null: only the admin token can read it. */
  readonly metricsToken: string | null;
  /** One secret per source. null: the source is refused. */
  readonly monitoring: MonitoringConfig;
  /** Whether abuse that the coordinator detected is suspended or only reported. */
  readonly abuse: { readonly enforce: boolean };
  /** Bot for copies of backups and for operator notices. Null if none is configured. */
  readonly telegram: TelegramConfig | null;
  /** Addresses of the services that are notified of new projects. null: not configured. */
  readonly services: ServicesConfig;
  readonly webhooks: {
    /** Local only: also accepts receivers at private addresses and over http. */
    readonly allowPrivate: boolean;
  };
  readonly isbndb: { readonly baseUrl: string; readonly apiKey: string; readonly timeoutMs: number; readonly maxBatch: number };
  readonly quota: QuotaConfig;
  /** Above this size the oldest books are removed. null: never. */
  readonly catalogMaxBytes: number | null;
  /** The monthly reset: whether it runs, and its cron. */
  readonly reset: { readonly enabled: boolean; readonly schedule: string };
  readonly telemetry: TelemetryConfig;
  /** Address of the documentation of errors. null: the Worker's own page. */
  readonly docsUrl: string | null;
  /** All secrets, which must never appear in a log or a trace. */
  readonly secrets: readonly string[];
}

export interface TelemetryConfig {
  readonly enabled: boolean;
  readonly serviceName: string;
  /** The complete address for traces. */
  readonly url: string;
}

export interface MonitoringConfig {
  readonly alertmanagerToken: string | null;
  readonly grafanaSecret: string | null;
  readonly datadogToken: string | null;
}

export interface TelegramConfig {
  readonly botToken: string;
  readonly chatId: string;
  readonly apiUrl: string;
}

export interface ServicesConfig {
  readonly auth: string | null;
  readonly realtime: string | null;
  readonly storage: string | null;
}

export type Service = keyof ServicesConfig;

/** The operator's configuration in calls per UTC day. The ledger's settings may override all of it except the billing. */
export interface QuotaConfig {
  readonly dailyLimit: number;
  readonly safetyBuffer: number;
  readonly backgroundFloor: number;
  readonly ratePerSecond: number;
  readonly enforcement: Enforcement;
  readonly bulkBilling: BulkBilling;
}

export interface ConfigProblem {
  readonly name: string;
  /** "got \"many\"". Secrets appear only as set or missing. */
  readonly value: string;
  /** Follows the name: "must be a whole number from 1 to 100". */
  readonly message: string;
}

/** Thrown by `readConfig`. Names every wrong value, so that one start shows them all. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(({ name, value, message }) => `${name} ${message} (${value}).`).join(" "));
    this.problems = problems;
  }
}

/** Whether an address contains a user name or a password. */
function holdsCredentials(value: unknown): boolean {
  const url = typeof value === "string" ? URL.parse(value) : null;
  return url !== null && `${url.username}${url.password}` !== "";
}

function describeSetting(name: string, value: unknown): string {
  if (value === undefined) return "not set";
  return SECRETS.has(name) || holdsCredentials(value) ? "set, but not usable" : `got ${JSON.stringify(value)}`;
}

/** Collectors are often configured by their root instead of the path for traces. */
function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint);
  const path = url.pathname.replace(/\/+$/u, "");
  url.pathname = path.endsWith(TRACES_PATH) ? path : `${path}${TRACES_PATH}`;
  return url.href;
}

function telegramOf(read: z.output<typeof variables>): TelegramConfig | null {
  const { TELEGRAM_BOT_TOKEN: botToken, TELEGRAM_CHAT_ID: chatId, TELEGRAM_API_URL: apiUrl } = read;
  return botToken === undefined || chatId === undefined ? null : { botToken, chatId, apiUrl };
}

/** Each value is valid alone, but not both together. */
function limitBelowBuffer(env: object): ConfigProblem[] {
  const limits = variables.pick({ QUOTA_DAILY_LIMIT: true, QUOTA_SAFETY_BUFFER: true }).safeParse(env);
  if (!limits.success || limits.data.QUOTA_DAILY_LIMIT >= limits.data.QUOTA_SAFETY_BUFFER) return [];
  const { QUOTA_DAILY_LIMIT, QUOTA_SAFETY_BUFFER } = limits.data;
  const message = `must be at least QUOTA_SAFETY_BUFFER, which is ${QUOTA_SAFETY_BUFFER}`;
  return [{ name: "QUOTA_DAILY_LIMIT", value: describeSetting("QUOTA_DAILY_LIMIT", String(QUOTA_DAILY_LIMIT)), message }];
}

/** Each needs the other. A value that is invalid alone is reported only for that. */
function halfOfTelegram(env: object): ConfigProblem[] {
  if (!variables.pick({ TELEGRAM_BOT_TOKEN: true, TELEGRAM_CHAT_ID: true }).safeParse(env).success) return [];
  const { TELEGRAM_BOT_TOKEN: bot, TELEGRAM_CHAT_ID: chat }: Partial<Record<string, unknown>> = { ...env };
  if ((bot === undefined) === (chat === undefined)) return [];
  const [missing, given] = bot === undefined ? ["TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID"] : ["TELEGRAM_CHAT_ID", "TELEGRAM_BOT_TOKEN"];
  return [{ name: missing, value: "not set", message: `is required, because ${given} is set` }];
}

const known = new WeakMap<object, Config>();

/** Runs `readConfig` once per set of bindings, which never change while an instance exists. Throws `ConfigError`, also on later calls. */
export function configOf(env: object): Config {
  const before = known.get(env);
  if (before !== undefined) return before;
  const config = readConfig(env);
  redactSecrets(config.secrets);
  known.set(env, config);
  return config;
}

/** Reads and validates all variables and secrets. Throws `ConfigError`. */
export function readConfig(env: object): Config {
  const parsed = variables.safeParse(env);
  const given: Partial<Record<string, unknown>> = { ...env };
  const wrong = (parsed.error?.issues ?? []).map((issue): ConfigProblem => {
    const name = String(issue.path[0]);
    return { name, value: describeSetting(name, given[name]), message: issue.message };
  });
  const problems = [...wrong, ...limitBelowBuffer(env), ...halfOfTelegram(env)];
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  const read = parsed.data;
  return {
    adminToken: read.ADMIN_TOKEN,
    keyPepper: read.KEY_PEPPER,
    sessionSecret: read.SESSION_SECRET,
    metricsToken: read.METRICS_TOKEN ?? null,
    monitoring: {
      alertmanagerToken: read.ALERTMANAGER_TOKEN ?? null,
      grafanaSecret: read.GRAFANA_SECRET ?? null,
      datadogToken: read.DATADOG_TOKEN ?? null,
    },
    abuse: { enforce: read.ABUSE_ENFORCEMENT === "enforce" },
    telegram: telegramOf(read),
    services: { auth: read.AUTH_URL ?? null, realtime: read.REALTIME_URL ?? null, storage: read.STORAGE_URL ?? null },
    webhooks: { allowPrivate: read.ALLOW_PRIVATE_WEBHOOKS === "true" },
    isbndb: {
      baseUrl: read.ISBNDB_BASE_URL,
      apiKey: read.ISBNDB_API_KEY,
      timeoutMs: read.ISBNDB_TIMEOUT_SECONDS * 1_000,
      maxBatch: read.ISBNDB_MAX_BATCH,
    },
    quota: {
      dailyLimit: read.QUOTA_DAILY_LIMIT,
      safetyBuffer: read.QUOTA_SAFETY_BUFFER,
      backgroundFloor: read.QUOTA_BACKGROUND_FLOOR,
      ratePerSecond: read.ISBNDB_RATE_PER_SECOND,
      enforcement: read.QUOTA_ENFORCEMENT,
      bulkBilling: read.ISBNDB_BULK_BILLING,
    },
    catalogMaxBytes: read.CATALOG_MAX_MB === 0 ? null : read.CATALOG_MAX_MB * BYTES_PER_MB,
    reset: { enabled: read.QUOTA_RESET_ENABLED === "true", schedule: read.QUOTA_RESET_SCHEDULE },
    telemetry: {
      enabled: read.OTEL_ENABLED === "true",
      serviceName: read.OTEL_SERVICE_NAME.trim(),
      url: tracesUrl(read.OTEL_ENDPOINT),
    },
    docsUrl: read.DOCS_URL ?? null,
    secrets: Object.entries(read).flatMap(([name, value]) => (SECRETS.has(name) && typeof value === "string" ? [value] : [])),
  };
}

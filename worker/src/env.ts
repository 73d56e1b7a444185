/** The Worker's configuration: read from the bindings once, typed, defaulted and checked, the same for every door. */
import type { z } from "zod";
import "./lib/field-errors.ts";
import { keepSecret } from "./lib/log.ts";
import { SECRETS, variables } from "./env/variables.ts";
import type { BulkBilling, Enforcement } from "./env/variables.ts";

export { ENFORCEMENTS, MAX_CALLS, MAX_RATE_PER_SECOND, MIN_RATE_PER_SECOND } from "./env/variables.ts";
export type { BulkBilling, Enforcement } from "./env/variables.ts";

const TRACES_PATH = "/v1/traces";

export interface Config {
  readonly adminToken: string;
  /** Keys the hashes of API keys: with another one, no key is known any more. */
  readonly keyPepper: string;
  /** Signs the cookie of who signed in to the dashboard: with another one, everybody is signed out. */
  readonly sessionSecret: string;
  /** Reads /metrics and nothing else; null: only the administrator does. */
  readonly metricsToken: string | null;
  /** One secret a source; null: that source is not let in. */
  readonly monitoring: MonitoringConfig;
  /** What becomes of abuse that nobody but we noticed: only reported, or stopped. */
  readonly abuse: { readonly enforce: boolean };
  /** Where backups are copied to and operators are told; null where no bot is configured. */
  readonly telegram: TelegramConfig | null;
  /** What a new project is made known to; null: nowhere. */
  readonly services: ServicesConfig;
  /** Address of the documentation of errors; null: the Worker's own page. */
  readonly docsUrl: string | null;
  readonly webhooks: {
    /** Local only: receivers at private addresses, and by http. */
    readonly allowPrivate: boolean;
  };
  readonly isbndb: { readonly baseUrl: string; readonly apiKey: string; readonly timeoutMs: number; readonly maxBatch: number };
  readonly quota: QuotaConfig;
  /** The monthly reset: whether it runs, and the cron that asks for it. */
  readonly reset: { readonly enabled: boolean; readonly schedule: string };
  readonly telemetry: TelemetryConfig;
  /** All of them, whatever they are for: what must never leave in a log or a trace. */
  readonly secrets: readonly string[];
}

export interface TelemetryConfig {
  readonly enabled: boolean;
  readonly serviceName: string;
  /** Where traces go, whole. */
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

/** What the operator configured; the ledger's settings may override all of it but the billing. Limits in calls a UTC day. */
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
  /** "got \"many\""; a secret only as set or missing. */
  readonly value: string;
  /** Follows the name: "must be a whole number from 1 to 100". */
  readonly message: string;
}

/** Thrown by `readConfig`; names every wrong value, so that one start shows them all. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(({ name, value, message }) => `${name} ${message} (${value}).`).join(" "));
    this.problems = problems;
  }
}

/** An address in which somebody put a user name and a password. */
function holdsCredentials(value: unknown): boolean {
  const url = typeof value === "string" ? URL.parse(value) : null;
  return url !== null && `${url.username}${url.password}` !== "";
}

function shown(name: string, value: unknown): string {
  if (value === undefined) return "not set";
  return SECRETS.has(name) || holdsCredentials(value) ? "set, but not usable" : `got ${JSON.stringify(value)}`;
}

/** Collectors are named by their root as often as by where traces go. */
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

/** Both are right by themselves, and wrong together. */
function limitBelowBuffer(env: object): ConfigProblem[] {
  const limits = variables.pick({ QUOTA_DAILY_LIMIT: true, QUOTA_SAFETY_BUFFER: true }).safeParse(env);
  if (!limits.success || limits.data.QUOTA_DAILY_LIMIT >= limits.data.QUOTA_SAFETY_BUFFER) return [];
  const { QUOTA_DAILY_LIMIT, QUOTA_SAFETY_BUFFER } = limits.data;
  const message = `must be at least QUOTA_SAFETY_BUFFER, ${QUOTA_SAFETY_BUFFER}`;
  return [{ name: "QUOTA_DAILY_LIMIT", value: shown("QUOTA_DAILY_LIMIT", String(QUOTA_DAILY_LIMIT)), message }];
}

/** Each is of no use without the other; one that is wrong by itself is named for that alone. */
function halfOfTelegram(env: object): ConfigProblem[] {
  if (!variables.pick({ TELEGRAM_BOT_TOKEN: true, TELEGRAM_CHAT_ID: true }).safeParse(env).success) return [];
  const { TELEGRAM_BOT_TOKEN: bot, TELEGRAM_CHAT_ID: chat }: Partial<Record<string, unknown>> = { ...env };
  if ((bot === undefined) === (chat === undefined)) return [];
  const [missing, given] = bot === undefined ? ["TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID"] : ["TELEGRAM_CHAT_ID", "TELEGRAM_BOT_TOKEN"];
  return [{ name: missing, value: "not set", message: `is required, because ${given} is set` }];
}

const known = new WeakMap<object, Config>();

/** `readConfig`, once for each set of bindings: they never change while an instance lives. Throws `ConfigError`, again each time. */
export function configOf(env: object): Config {
  const before = known.get(env);
  if (before !== undefined) return before;
  const config = readConfig(env);
  keepSecret(config.secrets);
  known.set(env, config);
  return config;
}

/** Reads and checks all variables and secrets. Throws `ConfigError`. */
export function readConfig(env: object): Config {
  const parsed = variables.safeParse(env);
  const given: Partial<Record<string, unknown>> = { ...env };
  const wrong = (parsed.error?.issues ?? []).map((issue): ConfigProblem => {
    const name = String(issue.path[0]);
    return { name, value: shown(name, given[name]), message: issue.message };
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
    docsUrl: read.DOCS_URL ?? null,
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
    reset: { enabled: read.QUOTA_RESET_ENABLED === "true", schedule: read.QUOTA_RESET_SCHEDULE },
    telemetry: {
      enabled: read.OTEL_ENABLED === "true",
      serviceName: read.OTEL_SERVICE_NAME.trim(),
      url: tracesUrl(read.OTEL_ENDPOINT),
    },
    secrets: Object.entries(read).flatMap(([name, value]) => (SECRETS.has(name) && typeof value === "string" ? [value] : [])),
  };
}

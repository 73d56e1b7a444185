/** The Worker's configuration: read from the bindings once, typed, defaulted and checked, the same for every door. */
import { Cron } from "croner";
import { z } from "zod";

export const ENFORCEMENTS = ["enforce", "observe", "off"] as const;
export type Enforcement = (typeof ENFORCEMENTS)[number];

const BULK_BILLINGS = ["per_request", "per_isbn", "auto"] as const;
export type BulkBilling = (typeof BULK_BILLINGS)[number];

/** The highest number of calls any setting may name: far above every plan, far below what JSON numbers lose. */
export const MAX_CALLS = 100_000_000;
/** Requests per second; above it the pace is better switched off with 0. */
export const MAX_RATE_PER_SECOND = 1_000;
/** One request in 100 s. */
export const MIN_RATE_PER_SECOND = 0.01;

const SECRETS: ReadonlySet<string> = new Set(["ADMIN_TOKEN", "ISBNDB_API_KEY", "KEY_PEPPER"]);
const MIN_TOKEN_LENGTH = 16;
const VISIBLE_ASCII = /^[\u0021-\u007e]+$/u;
/** Shorter than the life of a reservation, so that nothing is still under way when its hold expires. */
const MAX_TIMEOUT_SECONDS = 100;

/** wrangler.jsonc may hold a number where the platform's own variables are text. */
const number = (fallback: number, expected: string, form: RegExp, fits: (value: number) => boolean) =>
  z
    .union([z.string(), z.number().transform(String)], expected)
    .default(String(fallback))
    .refine((text) => form.test(text) && fits(Number(text)), expected)
    .transform(Number);

const whole = (fallback: number, least: number, most: number) =>
  number(fallback, `a whole number from ${least} to ${most}`, /^\d{1,9}$/u, (value) => value >= least && value <= most);

const calls = (fallback: number) => whole(fallback, 0, MAX_CALLS);

const oneOf = <const Words extends readonly [string, ...string[]]>(words: Words) => z.enum(words, `one of ${words.join(", ")}`);

const CRON = "a cron expression of five fields, which stands among the cron triggers too";

function isCron(text: string): boolean {
  try {
    return new Cron(text, { mode: "5-part", paused: true }).nextRun() !== null;
  } catch {
    return false;
  }
}

const ADDRESS = "an http or https URL";
const COLLECTOR = "an http or https URL without a user name or password";
const MAX_NAME_CHARACTERS = 255;
const NAME = `a name of 1 to ${MAX_NAME_CHARACTERS} characters`;
const SWITCH = "true or false";
const TRACES_PATH = "/v1/traces";
const TOKEN = `a secret of at least ${MIN_TOKEN_LENGTH} visible ASCII characters`;
const PEPPER = `a secret of at least ${MIN_TOKEN_LENGTH} characters`;
const KEY = "the provider's key: visible ASCII characters";

function isCollector(url: URL | null): boolean {
  return url !== null && /^https?:$/u.test(url.protocol) && url.username === "" && url.password === "";
}

/** Collectors are named by their root as often as by where traces go. */
function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint);
  const path = url.pathname.replace(/\/+$/u, "");
  url.pathname = path.endsWith(TRACES_PATH) ? path : `${path}${TRACES_PATH}`;
  return url.href;
}

const variables = z.object({
  ISBNDB_BASE_URL: z
    .string(ADDRESS)
    .default("https://api.premium.isbndb.com")
    .refine((text) => /^https?:$/u.test(URL.parse(text)?.protocol ?? ""), ADDRESS),
  ISBNDB_RATE_PER_SECOND: number(
    3,
    `0 (no pace), or a number from ${MIN_RATE_PER_SECOND} to ${MAX_RATE_PER_SECOND}`,
    /^\d{1,4}(\.\d{1,3})?$/u,
    (rate) => rate === 0 || (rate >= MIN_RATE_PER_SECOND && rate <= MAX_RATE_PER_SECOND),
  ),
  ISBNDB_TIMEOUT_SECONDS: whole(20, 1, MAX_TIMEOUT_SECONDS),
  ISBNDB_MAX_BATCH: whole(1_000, 1, 1_000),
  ISBNDB_BULK_BILLING: oneOf(BULK_BILLINGS).default("auto"),
  QUOTA_DAILY_LIMIT: calls(15_000),
  QUOTA_SAFETY_BUFFER: calls(2_000),
  QUOTA_BACKGROUND_FLOOR: calls(1_000),
  QUOTA_ENFORCEMENT: oneOf(ENFORCEMENTS).default("enforce"),
  QUOTA_RESET_ENABLED: oneOf(["true", "false"]).default("true"),
  QUOTA_RESET_SCHEDULE: z.string(CRON).default("0 0 * * *").refine(isCron, CRON),
  OTEL_ENABLED: z.union([z.enum(["true", "false"]), z.boolean().transform(String)], SWITCH).default("false"),
  // Credentials in it would end up in errors; fetch refuses them anyway.
  OTEL_ENDPOINT: z
    .string(COLLECTOR)
    .default("http://localhost:4318/v1/traces")
    .refine((text) => isCollector(URL.parse(text)), COLLECTOR),
  OTEL_SERVICE_NAME: z
    .string(NAME)
    .default("quota-coordinator")
    .refine((text) => text.trim() !== "" && text.length <= MAX_NAME_CHARACTERS, NAME),
  // Both travel in a header, where nothing else can stand.
  ADMIN_TOKEN: z.string(TOKEN).refine((text) => text.length >= MIN_TOKEN_LENGTH && VISIBLE_ASCII.test(text), TOKEN),
  ISBNDB_API_KEY: z.string(KEY).regex(VISIBLE_ASCII, KEY),
  KEY_PEPPER: z.string(PEPPER).min(MIN_TOKEN_LENGTH, PEPPER),
});

export interface Config {
  readonly adminToken: string;
  /** Keys the hashes of API keys: with another one, no key is known any more. */
  readonly keyPepper: string;
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
  /** As it was given; a secret only as set or missing. */
  readonly value: string;
  readonly expected: string;
}

/** Thrown by `readConfig`; names every wrong value, so that one start shows them all. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(({ name, value, expected }) => `${name} is ${value}; expected ${expected}`).join(". "));
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
  return SECRETS.has(name) || holdsCredentials(value) ? "set, but not usable" : JSON.stringify(value);
}

/** Both are right by themselves, and wrong together. */
function limitBelowBuffer(env: object): ConfigProblem[] {
  const limits = variables.pick({ QUOTA_DAILY_LIMIT: true, QUOTA_SAFETY_BUFFER: true }).safeParse(env);
  if (!limits.success || limits.data.QUOTA_DAILY_LIMIT >= limits.data.QUOTA_SAFETY_BUFFER) return [];
  const { QUOTA_DAILY_LIMIT, QUOTA_SAFETY_BUFFER } = limits.data;
  const value = JSON.stringify(String(QUOTA_DAILY_LIMIT));
  return [{ name: "QUOTA_DAILY_LIMIT", value, expected: `at least QUOTA_SAFETY_BUFFER (${QUOTA_SAFETY_BUFFER})` }];
}

/** Reads and checks all variables and secrets. Throws `ConfigError`. */
export function readConfig(env: object): Config {
  const parsed = variables.safeParse(env);
  const given: Partial<Record<string, unknown>> = { ...env };
  const wrong = (parsed.error?.issues ?? []).map((issue): ConfigProblem => {
    const name = String(issue.path[0]);
    return { name, value: shown(name, given[name]), expected: issue.message };
  });
  const problems = [...wrong, ...limitBelowBuffer(env)];
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  const read = parsed.data;
  return {
    adminToken: read.ADMIN_TOKEN,
    keyPepper: read.KEY_PEPPER,
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

/** Every variable and secret, with its default and accepted values. No I/O. No clock. */
import { Cron } from "croner";
import { z } from "zod";

export const ENFORCEMENTS = ["enforce", "observe", "off"] as const;
export type Enforcement = (typeof ENFORCEMENTS)[number];

const BULK_BILLINGS = ["per_request", "per_isbn", "auto"] as const;
export type BulkBilling = (typeof BULK_BILLINGS)[number];

/** Maximum number of calls in any setting. Far above every plan, and exact as a JSON number. */
export const MAX_CALLS = 100_000_000;
/** Requests per second. For a higher pace, switch it off with 0. */
export const MAX_RATE_PER_SECOND = 1_000;
/** One request in 100 s. */
export const MIN_RATE_PER_SECOND = 0.01;

/** Never shown. Several are optional, and their features are off without them. */
export const SECRETS: ReadonlySet<string> = new Set([
  "ADMIN_TOKEN",
  "ISBNDB_API_KEY",
  "KEY_PEPPER",
  "SESSION_SECRET",
  "METRICS_TOKEN",
  "ALERTMANAGER_TOKEN",
  "GRAFANA_SECRET",
  "DATADOG_TOKEN",
  "TELEGRAM_BOT_TOKEN",
]);
const MIN_TOKEN_LENGTH = 16;
const VISIBLE_ASCII = /^[\u0021-\u007e]+$/u;
/** Largest size of a D1 database. */
const MAX_DATABASE_MB = 10_000;
/** Shorter than the lifetime of a reservation, so that no request is in flight when its reservation expires. */
const MAX_TIMEOUT_SECONDS = 100;

/** wrangler.jsonc may contain a number, while the platform's own variables are text. */
const number = (fallback: number, message: string, form: RegExp, fits: (value: number) => boolean) =>
  z
    .union([z.string(), z.number().transform(String)], message)
    .default(String(fallback))
    .refine((text) => form.test(text) && fits(Number(text)), message)
    .transform(Number);

const wholeNumber = (fallback: number, least: number, most: number) =>
  number(fallback, `must be a whole number from ${least} to ${most}`, /^\d{1,9}$/u, (value) => value >= least && value <= most);

const calls = (fallback: number) => wholeNumber(fallback, 0, MAX_CALLS);

const oneOf = <const Words extends readonly [string, ...string[]]>(words: Words) => z.enum(words, `must be one of ${words.join(", ")}`);

const CRON = "must be a cron expression of five fields, and one of the cron triggers";

function isCron(text: string): boolean {
  try {
    return new Cron(text, { mode: "5-part", paused: true }).nextRun() !== null;
  } catch {
    return false;
  }
}

const ADDRESS = "must be an http or https URL";
const PLAIN_ADDRESS = "must be an http or https URL without a user name or password";
const MAX_NAME_CHARACTERS = 255;
const NAME = `must be a name of 1 to ${MAX_NAME_CHARACTERS} characters`;
const SWITCH = "must be true or false";
const TOKEN = `must be a secret of at least ${MIN_TOKEN_LENGTH} visible ASCII characters`;
const PEPPER = `must be a secret of at least ${MIN_TOKEN_LENGTH} characters`;
const KEY = "must be the provider's key, in visible ASCII characters";

function isPlainAddress(url: URL | null): boolean {
  return url !== null && /^https?:$/u.test(url.protocol) && url.username === "" && url.password === "";
}

const BOT_TOKEN = "must be a bot's token from @BotFather (digits, a colon, letters)";
const CHAT = "must be the id of a chat, or the @name of a channel";

/** It is sent in a header, which allows only these characters. */
const token = z.string(TOKEN).refine((text) => text.length >= MIN_TOKEN_LENGTH && VISIBLE_ASCII.test(text), TOKEN);
/** Credentials in it would appear in errors, and fetch refuses them anyway. */
const address = z.string(PLAIN_ADDRESS).refine((text) => isPlainAddress(URL.parse(text)), PLAIN_ADDRESS);
const flag = z.union([z.enum(["true", "false"]), z.boolean().transform(String)], SWITCH).default("false");

export const variables = z.object({
  ISBNDB_BASE_URL: z
    .string(ADDRESS)
    .default("https://api.premium.isbndb.com")
    .refine((text) => /^https?:$/u.test(URL.parse(text)?.protocol ?? ""), ADDRESS),
  ISBNDB_RATE_PER_SECOND: number(
    3,
    `must be 0 (no pace), or a number from ${MIN_RATE_PER_SECOND} to ${MAX_RATE_PER_SECOND}`,
    /^\d{1,4}(\.\d{1,3})?$/u,
    (rate) => rate === 0 || (rate >= MIN_RATE_PER_SECOND && rate <= MAX_RATE_PER_SECOND),
  ),
  ISBNDB_TIMEOUT_SECONDS: wholeNumber(20, 1, MAX_TIMEOUT_SECONDS),
  ISBNDB_MAX_BATCH: wholeNumber(1_000, 1, 1_000),
  ISBNDB_BULK_BILLING: oneOf(BULK_BILLINGS).default("auto"),
  CATALOG_MAX_MB: wholeNumber(0, 0, MAX_DATABASE_MB),
  QUOTA_DAILY_LIMIT: calls(15_000),
  QUOTA_SAFETY_BUFFER: calls(2_000),
  QUOTA_BACKGROUND_FLOOR: calls(1_000),
  QUOTA_ENFORCEMENT: oneOf(ENFORCEMENTS).default("enforce"),
  ABUSE_ENFORCEMENT: oneOf(["report", "enforce"]).default("report"),
  QUOTA_RESET_ENABLED: oneOf(["true", "false"]).default("true"),
  QUOTA_RESET_SCHEDULE: z.string(CRON).default("0 0 * * *").refine(isCron, CRON),
  OTEL_ENABLED: flag,
  OTEL_ENDPOINT: address.default("http://localhost:4318/v1/traces"),
  OTEL_SERVICE_NAME: z
    .string(NAME)
    .default("quota-coordinator")
    .refine((text) => text.trim() !== "" && text.length <= MAX_NAME_CHARACTERS, NAME),
  ADMIN_TOKEN: token,
  ISBNDB_API_KEY: z.string(KEY).regex(VISIBLE_ASCII, KEY),
  KEY_PEPPER: z.string(PEPPER).min(MIN_TOKEN_LENGTH, PEPPER),
  SESSION_SECRET: z.string(PEPPER).min(MIN_TOKEN_LENGTH, PEPPER),
  METRICS_TOKEN: token.optional(),
  ALERTMANAGER_TOKEN: token.optional(),
  GRAFANA_SECRET: z.string(PEPPER).min(MIN_TOKEN_LENGTH, PEPPER).optional(),
  DATADOG_TOKEN: token.optional(),
  TELEGRAM_BOT_TOKEN: z
    .string(BOT_TOKEN)
    .regex(/^\d{1,20}:[\w-]{20,}$/u, BOT_TOKEN)
    .optional(),
  TELEGRAM_CHAT_ID: z
    .union([z.string(CHAT), z.number().transform(String)], CHAT)
    .pipe(z.string().regex(/^(?:-?\d{1,20}|@\w{4,})$/u, CHAT))
    .optional(),
  TELEGRAM_API_URL: address.default("https://api.telegram.org"),
  AUTH_URL: address.optional(),
  REALTIME_URL: address.optional(),
  STORAGE_URL: address.optional(),
  DOCS_URL: address.optional(),
  ALLOW_PRIVATE_WEBHOOKS: flag,
});

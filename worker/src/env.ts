/** The Worker's configuration: read from the bindings once, typed, defaulted and checked, the same for every door. */
import { z } from "zod";

export const ENFORCEMENTS = ["enforce", "observe", "off"] as const;
export type Enforcement = (typeof ENFORCEMENTS)[number];

const BULK_BILLINGS = ["per_request", "per_isbn", "auto"] as const;
export type BulkBilling = (typeof BULK_BILLINGS)[number];

/** The highest number of calls any setting may name: far above every plan, far below what JSON numbers lose. */
export const MAX_CALLS = 100_000_000;
/** Requests per second; above it the pace is better switched off with 0. */
export const MAX_RATE_PER_SECOND = 1_000;

const SECRETS: ReadonlySet<string> = new Set(["ADMIN_TOKEN", "ISBNDB_API_KEY"]);
const MIN_TOKEN_LENGTH = 16;
/** Shorter than the life of a reservation, so that nothing is still under way when its hold expires. */
const MAX_TIMEOUT_SECONDS = 100;

/** wrangler.jsonc may hold a number where the platform's own variables are text. */
const text = z.preprocess((value) => (typeof value === "number" ? String(value) : value), z.string().optional());

const calls = (fallback: number) =>
  text
    .transform((given) => given ?? String(fallback))
    .refine((text) => /^\d{1,9}$/.test(text) && Number(text) <= MAX_CALLS, `a whole number from 0 to ${MAX_CALLS}`)
    .transform(Number);

const variables = z.object({
  ISBNDB_BASE_URL: z
    .string()
    .default("https://api.premium.isbndb.com")
    .refine((text) => /^https?:$/.test(URL.parse(text)?.protocol ?? ""), "an http or https URL"),
  ISBNDB_RATE_PER_SECOND: text
    .transform((given) => given ?? "3")
    .refine(
      (text) => /^\d{1,4}(\.\d{1,3})?$/.test(text) && Number(text) <= MAX_RATE_PER_SECOND,
      `a number from 0 (no pace) to ${MAX_RATE_PER_SECOND}`,
    )
    .transform(Number),
  ISBNDB_TIMEOUT_SECONDS: text
    .transform((given) => given ?? "20")
    .refine(
      (given) => /^\d{1,3}$/.test(given) && Number(given) >= 1 && Number(given) <= MAX_TIMEOUT_SECONDS,
      `a whole number from 1 to ${MAX_TIMEOUT_SECONDS}`,
    )
    .transform(Number),
  ISBNDB_BULK_BILLING: z.enum(BULK_BILLINGS, `one of ${BULK_BILLINGS.join(", ")}`).default("auto"),
  QUOTA_DAILY_LIMIT: calls(15_000),
  QUOTA_SAFETY_BUFFER: calls(2_000),
  QUOTA_BACKGROUND_FLOOR: calls(1_000),
  QUOTA_ENFORCEMENT: z.enum(ENFORCEMENTS, `one of ${ENFORCEMENTS.join(", ")}`).default("enforce"),
  ADMIN_TOKEN: z
    .string(`a secret of at least ${MIN_TOKEN_LENGTH} characters`)
    .min(MIN_TOKEN_LENGTH, `at least ${MIN_TOKEN_LENGTH} characters`),
  ISBNDB_API_KEY: z.string("the provider's key").min(1, "the provider's key"),
});

export interface Config {
  readonly adminToken: string;
  readonly isbndb: { readonly baseUrl: string; readonly apiKey: string; readonly timeoutMs: number };
  readonly quota: QuotaConfig;
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

function shown(name: string, value: unknown): string {
  if (value === undefined) return "not set";
  return SECRETS.has(name) ? "set, but not usable" : JSON.stringify(value);
}

/** Reads and checks all variables and secrets. Throws `ConfigError`. */
export function readConfig(env: object): Config {
  const parsed = variables.safeParse(env);
  const given: Partial<Record<string, unknown>> = { ...env };
  if (!parsed.success) {
    throw new ConfigError(
      parsed.error.issues.map((issue) => {
        const name = String(issue.path[0]);
        return { name, value: shown(name, given[name]), expected: issue.message };
      }),
    );
  }
  const read = parsed.data;
  if (read.QUOTA_DAILY_LIMIT < read.QUOTA_SAFETY_BUFFER) {
    const expected = `at least QUOTA_SAFETY_BUFFER (${read.QUOTA_SAFETY_BUFFER})`;
    throw new ConfigError([{ name: "QUOTA_DAILY_LIMIT", value: JSON.stringify(String(read.QUOTA_DAILY_LIMIT)), expected }]);
  }
  return {
    adminToken: read.ADMIN_TOKEN,
    isbndb: { baseUrl: read.ISBNDB_BASE_URL, apiKey: read.ISBNDB_API_KEY, timeoutMs: read.ISBNDB_TIMEOUT_SECONDS * 1_000 },
    quota: {
      dailyLimit: read.QUOTA_DAILY_LIMIT,
      safetyBuffer: read.QUOTA_SAFETY_BUFFER,
      backgroundFloor: read.QUOTA_BACKGROUND_FLOOR,
      ratePerSecond: read.ISBNDB_RATE_PER_SECOND,
      enforcement: read.QUOTA_ENFORCEMENT,
      bulkBilling: read.ISBNDB_BULK_BILLING,
    },
  };
}

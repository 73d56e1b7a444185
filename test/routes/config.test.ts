import { env } from "cloudflare:workers";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { ConfigError, readConfig } from "../../worker/src/env.ts";
import type { ConfigProblem } from "../../worker/src/env.ts";
import { problemOf } from "../support/problems.ts";
import { freshStart } from "../support/worker.ts";
import { callWith } from "./support.ts";

const SECRETS = {
  ADMIN_TOKEN: "an-admin-token-0123456789",
  ISBNDB_API_KEY: "the-providers-key",
  KEY_PEPPER: "sixteen or more!",
  SESSION_SECRET: "as many letters!",
};

const problemsOf = (given: Record<string, unknown>): readonly ConfigProblem[] => {
  try {
    readConfig({ ...SECRETS, ...given });
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

describe("valid configuration", () => {
  test("only the secrets are required, everything else has a default", () => {
    expect(readConfig(SECRETS)).toEqual({
      adminToken: "an-admin-token-0123456789",
      keyPepper: "sixteen or more!",
      sessionSecret: "as many letters!",
      metricsToken: null,
      monitoring: { alertmanagerToken: null, grafanaSecret: null, datadogToken: null },
      abuse: { enforce: false },
      telegram: null,
      services: { auth: null, realtime: null, storage: null },
      docsUrl: null,
      webhooks: { allowPrivate: false },
      isbndb: { baseUrl: "https://api.premium.isbndb.com", apiKey: "the-providers-key", timeoutMs: 20_000, maxBatch: 1_000 },
      quota: {
        dailyLimit: 15_000,
        safetyBuffer: 2_000,
        backgroundFloor: 1_000,
        ratePerSecond: 3,
        enforcement: "enforce",
        bulkBilling: "auto",
      },
      catalogMaxBytes: null,
      reset: { enabled: true, schedule: "0 0 * * *" },
      telemetry: { enabled: false, serviceName: "quota-coordinator", url: "http://localhost:4318/v1/traces" },
      secrets: Object.values(SECRETS),
    });
  });

  test("the variables of wrangler.jsonc are valid", () => {
    expect(problemsOf({ ...env })).toEqual([]);
  });

  test("numeric variables may be JSON numbers, including 0", () => {
    const given = { QUOTA_DAILY_LIMIT: 500, QUOTA_SAFETY_BUFFER: "0", QUOTA_BACKGROUND_FLOOR: 0, ISBNDB_RATE_PER_SECOND: "0" };
    expect(readConfig({ ...SECRETS, ...given }).quota).toMatchObject({
      dailyLimit: 500,
      safetyBuffer: 0,
      backgroundFloor: 0,
      ratePerSecond: 0,
    });
  });

  test("the catalog's maximum size is in megabytes", () => {
    expect(readConfig({ ...SECRETS, CATALOG_MAX_MB: "9000" }).catalogMaxBytes).toBe(9_000_000_000);
  });

  test.each([
    ["0.01", 0.01],
    ["0.5", 0.5],
    ["3", 3],
    ["1000", 1_000],
  ])("a pace of %s a second", (given, rate) => {
    expect(readConfig({ ...SECRETS, ISBNDB_RATE_PER_SECOND: given }).quota.ratePerSecond).toBe(rate);
  });

  test.each([
    ["http://collector:4318", "http://collector:4318/v1/traces"],
    ["http://collector:4318/", "http://collector:4318/v1/traces"],
    ["http://collector:4318/v1/traces", "http://collector:4318/v1/traces"],
    ["http://collector:4318/v1/traces/", "http://collector:4318/v1/traces"],
    ["https://vendor.example/otlp/?region=eu", "https://vendor.example/otlp/v1/traces?region=eu"],
  ])("a collector at %s gets traces at %s", (given, url) => {
    expect(readConfig({ ...SECRETS, OTEL_ENDPOINT: given }).telemetry.url).toBe(url);
  });

  test.each([
    ["true", true],
    [true, true],
    ["false", false],
    [false, false],
  ])("telemetry that is %j", (given, enabled) => {
    expect(readConfig({ ...SECRETS, OTEL_ENABLED: given }).telemetry.enabled).toBe(enabled);
  });

  test.each([
    ["-1001234567890", "-1001234567890"],
    [-1_001_234_567_890, "-1001234567890"],
    ["@backups", "@backups"],
  ])("a bot that writes to the chat %j", (given, chatId) => {
    const botToken = `1234:${"a".repeat(35)}`;
    const { telegram, secrets } = readConfig({ ...SECRETS, TELEGRAM_BOT_TOKEN: botToken, TELEGRAM_CHAT_ID: given });
    expect(telegram).toEqual({ botToken, chatId, apiUrl: "https://api.telegram.org" });
    expect(secrets).toContain(botToken);
  });

  test("a limit equal to the buffer is valid", () => {
    expect(problemsOf({ QUOTA_DAILY_LIMIT: "2000", QUOTA_SAFETY_BUFFER: "2000" })).toEqual([]);
  });
});

const CALLS = "must be a whole number from 0 to 100000000";
const RATE = "must be 0 (no pace), or a number from 0.01 to 1000";
const TIMEOUT = "must be a whole number from 1 to 100";
const CRON = "must be a cron expression of five fields, and one of the cron triggers";
const BILLING = "must be one of per_request, per_isbn, auto";
const ENFORCEMENT = "must be one of enforce, observe, off";
const ADDRESS = "must be an http or https URL";
const TOKEN = "must be a secret of at least 16 visible ASCII characters";
const PEPPER = "must be a secret of at least 16 characters";
const KEY = "must be the provider's key, in visible ASCII characters";
const SWITCH = "must be true or false";
const PLAIN_ADDRESS = "must be an http or https URL without a user name or password";
const BOT_TOKEN = "must be a bot's token from @BotFather (digits, a colon, letters)";
const CHAT = "must be the id of a chat, or the @name of a channel";
const NAME = "must be a name of 1 to 255 characters";

const WRONG: [string, unknown, string, string][] = [
  ["QUOTA_DAILY_LIMIT", "1000", 'got "1000"', "must be at least QUOTA_SAFETY_BUFFER, which is 2000"],
  ["CATALOG_MAX_MB", "10001", 'got "10001"', "must be a whole number from 0 to 10000"],
  ["CATALOG_MAX_MB", "-1", 'got "-1"', "must be a whole number from 0 to 10000"],
  ["QUOTA_DAILY_LIMIT", "many", 'got "many"', CALLS],
  ["QUOTA_DAILY_LIMIT", "", 'got ""', CALLS],
  ["QUOTA_DAILY_LIMIT", " 15000", 'got " 15000"', CALLS],
  ["QUOTA_DAILY_LIMIT", "15,000", 'got "15,000"', CALLS],
  ["QUOTA_DAILY_LIMIT", "15e3", 'got "15e3"', CALLS],
  ["QUOTA_DAILY_LIMIT", "100000001", 'got "100000001"', CALLS],
  ["QUOTA_DAILY_LIMIT", true, "got true", CALLS],
  ["QUOTA_DAILY_LIMIT", null, "got null", CALLS],
  ["QUOTA_DAILY_LIMIT", [15_000], "got [15000]", CALLS],
  ["QUOTA_SAFETY_BUFFER", "-1", 'got "-1"', CALLS],
  ["QUOTA_SAFETY_BUFFER", -1, "got -1", CALLS],
  ["QUOTA_BACKGROUND_FLOOR", "0.5", 'got "0.5"', CALLS],
  ["QUOTA_BACKGROUND_FLOOR", 0.5, "got 0.5", CALLS],
  ["ISBNDB_RATE_PER_SECOND", "-3", 'got "-3"', RATE],
  ["ISBNDB_RATE_PER_SECOND", "fast", 'got "fast"', RATE],
  ["ISBNDB_RATE_PER_SECOND", "0.009", 'got "0.009"', RATE],
  ["ISBNDB_RATE_PER_SECOND", "1001", 'got "1001"', RATE],
  ["ISBNDB_RATE_PER_SECOND", {}, "got {}", RATE],
  ["ISBNDB_TIMEOUT_SECONDS", "0", 'got "0"', TIMEOUT],
  ["ISBNDB_TIMEOUT_SECONDS", "101", 'got "101"', TIMEOUT],
  ["ISBNDB_TIMEOUT_SECONDS", "1.5", 'got "1.5"', TIMEOUT],
  ["QUOTA_RESET_ENABLED", "yes", 'got "yes"', "must be one of true, false"],
  ["ABUSE_ENFORCEMENT", "on", 'got "on"', "must be one of report, enforce"],
  ["QUOTA_RESET_SCHEDULE", "daily", 'got "daily"', CRON],
  ["QUOTA_RESET_SCHEDULE", "0 0 * * * *", 'got "0 0 * * * *"', CRON],
  ["QUOTA_RESET_SCHEDULE", "0 0 31 2 *", 'got "0 0 31 2 *"', CRON],
  ["ISBNDB_BULK_BILLING", "per_book", 'got "per_book"', BILLING],
  ["ISBNDB_BULK_BILLING", "", 'got ""', BILLING],
  ["QUOTA_ENFORCEMENT", "on", 'got "on"', ENFORCEMENT],
  ["QUOTA_ENFORCEMENT", true, "got true", ENFORCEMENT],
  ["ISBNDB_BASE_URL", "api2.isbndb.com", 'got "api2.isbndb.com"', ADDRESS],
  ["ISBNDB_BASE_URL", "ftp://api2.isbndb.com", 'got "ftp://api2.isbndb.com"', ADDRESS],
  ["ISBNDB_BASE_URL", "", 'got ""', ADDRESS],
  ["ISBNDB_BASE_URL", 7, "got 7", ADDRESS],
  ["OTEL_ENABLED", "yes", 'got "yes"', SWITCH],
  ["OTEL_ENABLED", "", 'got ""', SWITCH],
  ["OTEL_ENABLED", 1, "got 1", SWITCH],
  ["OTEL_ENDPOINT", "localhost:4318", 'got "localhost:4318"', PLAIN_ADDRESS],
  ["OTEL_ENDPOINT", "grpc://localhost:4317", 'got "grpc://localhost:4317"', PLAIN_ADDRESS],
  ["OTEL_ENDPOINT", "", 'got ""', PLAIN_ADDRESS],
  ["OTEL_ENDPOINT", 4318, "got 4318", PLAIN_ADDRESS],
  ["OTEL_ENDPOINT", "https://me:pass@collector", "set, but not usable", PLAIN_ADDRESS],
  ["OTEL_ENDPOINT", "https://me@collector", "set, but not usable", PLAIN_ADDRESS],
  ["OTEL_SERVICE_NAME", "  ", 'got "  "', NAME],
  ["OTEL_SERVICE_NAME", "n".repeat(256), `got ${JSON.stringify("n".repeat(256))}`, NAME],
  ["OTEL_SERVICE_NAME", 7, "got 7", NAME],
  ["ADMIN_TOKEN", undefined, "not set", TOKEN],
  ["ADMIN_TOKEN", "fifteen-letters", "set, but not usable", TOKEN],
  ["ADMIN_TOKEN", "sixteen letters and spaces", "set, but not usable", TOKEN],
  ["ADMIN_TOKEN", "sechzehn-zeichen-ä", "set, but not usable", TOKEN],
  ["ADMIN_TOKEN", 1_234_567_890_123_456, "set, but not usable", TOKEN],
  ["KEY_PEPPER", undefined, "not set", PEPPER],
  ["KEY_PEPPER", "", "set, but not usable", PEPPER],
  ["KEY_PEPPER", "fifteen letters", "set, but not usable", PEPPER],
  ["SESSION_SECRET", undefined, "not set", PEPPER],
  ["SESSION_SECRET", "fifteen letters", "set, but not usable", PEPPER],
  ["METRICS_TOKEN", "short", "set, but not usable", TOKEN],
  ["ALERTMANAGER_TOKEN", "with a space in the middle", "set, but not usable", TOKEN],
  ["DATADOG_TOKEN", "short", "set, but not usable", TOKEN],
  ["GRAFANA_SECRET", "short", "set, but not usable", PEPPER],
  ["AUTH_URL", "nowhere", 'got "nowhere"', PLAIN_ADDRESS],
  ["REALTIME_URL", "ftp://a.example", 'got "ftp://a.example"', PLAIN_ADDRESS],
  ["STORAGE_URL", "https://me:secret@a.example", "set, but not usable", PLAIN_ADDRESS],
  ["ALLOW_PRIVATE_WEBHOOKS", "yes", 'got "yes"', "must be true or false"],
  ["TELEGRAM_BOT_TOKEN", "a bot", "set, but not usable", BOT_TOKEN],
  ["TELEGRAM_CHAT_ID", "my chat", 'got "my chat"', CHAT],
  ["TELEGRAM_API_URL", "", 'got ""', PLAIN_ADDRESS],
  ["KEY_PEPPER", 1_234_567_890_123_456, "set, but not usable", PEPPER],
  ["ISBNDB_API_KEY", undefined, "not set", KEY],
  ["ISBNDB_API_KEY", "", "set, but not usable", KEY],
  ["ISBNDB_API_KEY", "pasted-with-newline\n", "set, but not usable", KEY],
];

describe("invalid configuration", () => {
  test.each([
    ["TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID", "-1001234567890"],
    ["TELEGRAM_CHAT_ID", "TELEGRAM_BOT_TOKEN", `1234:${"a".repeat(35)}`],
  ])("%s is required if %s is set", (missing, given, value) => {
    expect(problemsOf({ [given]: value })).toEqual([{ name: missing, value: "not set", message: `is required, because ${given} is set` }]);
  });

  test.each(WRONG)("%s = %j is named, with the accepted values", (name, value, shown, message) => {
    expect(problemsOf({ [name]: value })).toEqual([{ name, value: shown, message }]);
  });

  test("all mistakes are reported together, in one sentence each", () => {
    const given = { QUOTA_DAILY_LIMIT: "1000", ISBNDB_BULK_BILLING: "free", QUOTA_ENFORCEMENT: "on", ISBNDB_API_KEY: undefined };
    expect(
      problemsOf(given)
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual(["ISBNDB_API_KEY", "ISBNDB_BULK_BILLING", "QUOTA_DAILY_LIMIT", "QUOTA_ENFORCEMENT"]);
    expect(() => readConfig({ ...SECRETS, QUOTA_ENFORCEMENT: "on", ISBNDB_BULK_BILLING: "free" })).toThrow(
      'ISBNDB_BULK_BILLING must be one of per_request, per_isbn, auto (got "free"). QUOTA_ENFORCEMENT must be one of enforce, observe, off (got "on").',
    );
  });
});

describe("a Worker with an invalid configuration", () => {
  beforeAll(async () => freshStart());
  afterEach(() => void vi.restoreAllMocks());

  const SECRET = "never show this";

  test.each(WRONG)("%s = %j: 500 to the caller, name, value and expectation in the log", async (name, value, shown, message) => {
    const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const answer = await callWith({ [name]: value }, "/api/quota/status");
    expect({ status: answer.status, body: answer.body }).toEqual({
      status: 500,
      body: problemOf("internal_error", "The service is not configured correctly. Its log names the wrong values."),
    });
    expect(answer.headers.get("x-request-id")).toMatch(/^[\w-]{36}$/u);
    expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    const [line] = log.mock.calls.map(([text]) => JSON.parse(String(text)) as unknown);
    const problems = [{ name, value: shown, message }];
    expect(line).toEqual({
      level: "error",
      message: "The configuration is wrong",
      request_id: answer.headers.get("x-request-id"),
      problems,
    });
  });

  test("never shows a secret, not even in the log", async () => {
    const logs = (["log", "warn", "error"] as const).map((level) => vi.spyOn(console, level).mockImplementation(() => undefined));
    const wrong = { ADMIN_TOKEN: SECRET, ISBNDB_API_KEY: `${SECRET}\n`, KEY_PEPPER: SECRET, QUOTA_ENFORCEMENT: "on" };
    const answer = await callWith(wrong, "/health", { headers: { authorization: `Bearer ${SECRET}` } });
    expect(answer.status).toBe(500);
    const seen = [answer.text, ...answer.headers.values(), ...logs.flatMap(({ mock }) => mock.calls.flat().map(String))];
    expect(seen.filter((text) => text.includes(SECRET))).toEqual([]);
    expect(seen.some((text) => text.includes("QUOTA_ENFORCEMENT"))).toBe(true);
    expect(answer.text).not.toContain("QUOTA_ENFORCEMENT");
  });
});

test("errors link to DOCS_URL, if it is set", async () => {
  const { body } = await callWith({ DOCS_URL: "https://docs.example.com/errors" }, "/api/none");
  expect(body).toEqual(problemOf("not_found", String(body["detail"]), { type: "https://docs.example.com/errors#not_found" }));
});

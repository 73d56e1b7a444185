/** The watch that fails a test if a secret leaks, and the log that is held until a test fails. */
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, test, vi } from "vitest";
import { endLog, forgetReturnedSecrets, look, takeLeaks } from "../support/secret-watch.ts";

const CONFIGURED = [
  "ADMIN_TOKEN",
  "ISBNDB_API_KEY",
  "KEY_PEPPER",
  "SESSION_SECRET",
  "METRICS_TOKEN",
  "ALERTMANAGER_TOKEN",
  "GRAFANA_SECRET",
  "DATADOG_TOKEN",
] as const;
const KEY = `qc_test_0123456789_${"aB3".repeat(12)}xy`;
const SIGNING_SECRET = `whsec_${"abcd+/=-".repeat(4)}`;
const around = (secret: string): string => `${"first ".repeat(500)}"${secret}"${" last".repeat(500)}`;

afterEach(() => {
  takeLeaks();
  forgetReturnedSecrets();
});

describe.each(["log", "answer", "trace", "webhook"] as const)("a leak in the %s", (where) => {
  test.each(CONFIGURED)("of %s is found", (name) => {
    look(where, around(env[name]));
    expect(takeLeaks()).toEqual([expect.stringContaining(name)]);
  });
});

test.each([KEY, SIGNING_SECRET])("one response may contain %s, and no other text", (secret) => {
  look("answer", around(secret));
  expect(takeLeaks()).toEqual([]);
  for (const where of ["answer", "log", "trace", "webhook"] as const) look(where, around(secret));
  expect(takeLeaks()).toHaveLength(4);
});

test.each(["text", "json", "arrayBuffer", "bytes"] as const)("the body and the headers of a response are searched by %s", async (read) => {
  const headers = { "x-test": env.GRAFANA_SECRET };
  await new Response(JSON.stringify(env.ADMIN_TOKEN), { headers })[read]();
  expect(takeLeaks().map((leak) => leak.split(" ")[0])).toEqual(["ADMIN_TOKEN", "GRAFANA_SECRET"]);
});

test.each(["debug", "error", "info", "log", "warn"] as const)(
  "a held line of console.%s is searched, also if a test suppresses it",
  (level) => {
    console[level](around(KEY));
    const mock = vi.spyOn(console, level).mockImplementation(() => undefined);
    console[level](around(env.KEY_PEPPER));
    expect(mock).toHaveBeenCalledTimes(1);
    mock.mockRestore();
    expect(takeLeaks()).toHaveLength(2);
  },
);

test.each([
  [true, [["first", 1], ["second"]]],
  [false, []],
] as const)("held lines are written once and in their order only if the test failed: %s", (show, expected) => {
  const written: unknown[] = [];
  Object.defineProperty(console, "debug", { value: (...values: unknown[]) => void written.push(values), configurable: true });
  console.debug("first", 1);
  console.debug("second");
  expect(written).toEqual([]);
  endLog({ show });
  endLog({ show: true });
  Reflect.deleteProperty(console, "debug");
  expect(written).toEqual(expected);
});

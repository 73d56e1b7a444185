import { describe, expect, it } from "vitest";
import { isWorthShowing, readLog, shortLine } from "../../scripts/start/logs.ts";
import { configurationProblems } from "../../scripts/start/configuration.ts";

const NOON = new Date(2026, 0, 1, 12, 0, 0);

describe("a log line on the screen", () => {
  it("shows an error without fields for a log search", () => {
    const message = JSON.stringify({
      level: "error",
      message: "Database query failed",
      error: "no such table",
      path: "/health",
      stack: "…",
    });
    const line = readLog({ level: "error", message });
    expect(isWorthShowing(line)).toBe(true);
    expect(shortLine(line, NOON, 100)).toBe('12:00:00 error  Database query failed  error="no such table" path=/health');
    expect(shortLine(line, NOON, 30)).toBe("12:00:00 error  Database quer…");
  });

  it("shows the first line of other text without colors", () => {
    const line = readLog({ level: "error", message: "\u001B[31mUncaught TypeError: no\u001B[0m\n    at index.js:1:1" });
    expect(shortLine(line, NOON, 80)).toBe("12:00:00 error  Uncaught TypeError: no");
  });

  it("omits information", () => {
    expect(isWorthShowing(readLog({ level: "log", message: '{"level":"info","message":"request"}' }))).toBe(false);
  });
});

describe("a configuration error", () => {
  it("has one line for each value", () => {
    const problems = [{ name: "QUOTA_DAILY_LIMIT", value: 'got "x"', message: "must be a whole number" }];
    const message = JSON.stringify({ level: "error", message: "The configuration is wrong", problems });
    expect(configurationProblems({ level: "error", message })).toEqual(['QUOTA_DAILY_LIMIT must be a whole number (got "x")']);
  });

  it("is not in other log lines", () => {
    expect(configurationProblems({ level: "error", message: '{"message":"Database query failed"}' })).toEqual([]);
  });
});

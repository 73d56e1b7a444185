import { describe, expect, test } from "vitest";
import { judgeGiven, judgeMeasured } from "../../../worker/src/tenants/abuse/evidence.ts";
import type { AbusePattern } from "../../../worker/src/store/abuse/abuse.ts";
import type { RequestCounts } from "../../../worker/src/store/abuse/rates.ts";

const tally = (counts: Partial<RequestCounts>): RequestCounts => ({ requests: 0, errors: 0, failures: 0, probes: 0, ...counts });
const USUAL = { hours: 12, days: 3, requests: 14_400, windows: 144 };

interface Case {
  readonly earlier?: Partial<RequestCounts>;
  readonly baseline?: Partial<typeof USUAL>;
  readonly others?: Partial<RequestCounts>;
}

/** `earlier`: the first window, if it differs from the second. */
const judged = (pattern: AbusePattern, later: Partial<RequestCounts>, { earlier = later, baseline = {}, others = {} }: Case = {}): string =>
  judgeMeasured(pattern, { windows: [tally(earlier), tally(later)], baseline: { ...USUAL, ...baseline }, others: tally(others) }).verdict;

describe("EXCESSIVE_USAGE", () => {
  test.each([
    ["9.9 times the baseline", 990, "normal"],
    ["exactly 10 times", 1_000, "normal"],
    ["10.1 times", 1_010, "evident"],
  ])("%s", (_, requests, verdict) => {
    expect(judged("EXCESSIVE_USAGE", { requests })).toBe(verdict);
  });

  test("compares with windows that had requests, so that bursts are compared with bursts", () => {
    expect(judged("EXCESSIVE_USAGE", { requests: 1_010 }, { baseline: { requests: 1_200, windows: 12 } })).toBe("evident");
    expect(judged("EXCESSIVE_USAGE", { requests: 1_010 }, { baseline: { requests: 1_200, windows: 11 } })).toBe("normal");
  });

  test.each([
    ["20 requests", { requests: 20 }, {}],
    ["99 requests in the earlier window", { requests: 9_000 }, { earlier: { requests: 99 } }],
    ["99 requests in the later window", { requests: 99 }, { earlier: { requests: 9_000 } }],
    ["no baseline", { requests: 9_000 }, { baseline: { hours: 0, days: 0, requests: 0, windows: 0 } }],
    ["11 hours of baseline", { requests: 9_000 }, { baseline: { hours: 11 } }],
    ["2 days of baseline", { requests: 9_000 }, { baseline: { days: 2 } }],
  ])("%s are insufficient", (_, later, more) => {
    expect(judged("EXCESSIVE_USAGE", later, more)).toBe("insufficient");
  });

  test("in one window only is not a pattern", () => {
    expect(judged("EXCESSIVE_USAGE", { requests: 9_000 }, { earlier: { requests: 1_000 } })).toBe("normal");
    expect(judged("EXCESSIVE_USAGE", { requests: 1_000 }, { earlier: { requests: 9_000 } })).toBe("normal");
    expect(judged("EXCESSIVE_USAGE", { requests: 100 }, { baseline: { requests: 1_296, windows: 144 }, earlier: { requests: 100 } })).toBe(
      "evident",
    );
  });
});

describe("ERROR_SPIKE", () => {
  test.each([
    [49, "normal"],
    [50, "normal"],
    [51, "evident"],
  ])("%i %% errors", (errors, verdict) => {
    expect(judged("ERROR_SPIKE", { requests: 100, errors })).toBe(verdict);
  });

  test("in one window only, of 99 requests, or without a baseline is not a pattern", () => {
    expect(judged("ERROR_SPIKE", { requests: 100, errors: 100 }, { earlier: { requests: 100, errors: 50 } })).toBe("normal");
    expect(judged("ERROR_SPIKE", { requests: 99, errors: 99 })).toBe("insufficient");
    expect(judged("ERROR_SPIKE", { requests: 100, errors: 100 }, { baseline: { hours: 2 } })).toBe("insufficient");
  });

  test.each([
    ["an outage if others fail too", { requests: 100, failures: 51 }, "insufficient"],
    ["the project's if half of the others succeed", { requests: 100, failures: 50 }, "evident"],
    ["unknown if the others sent too few requests", { requests: 99 }, "insufficient"],
  ])("of mostly 5xx is %s", (_, others, verdict) => {
    expect(judged("ERROR_SPIKE", { requests: 200, errors: 200, failures: 100 }, { others })).toBe(verdict);
  });

  test("is the project's if its client errors alone are more than half, in both windows", () => {
    const wrong = { requests: 200, errors: 200, failures: 99 };
    expect(judged("ERROR_SPIKE", wrong)).toBe("evident");
    expect(judged("ERROR_SPIKE", { ...wrong, failures: 100 }, { earlier: wrong })).toBe("insufficient");
  });
});

describe("SUSPICIOUS_PATTERN", () => {
  test.each([
    ["99 probes", { probes: 99 }, "insufficient"],
    ["100 requests without probes", { requests: 100 }, "insufficient"],
    ["as many probes as requests", { probes: 150, requests: 150 }, "normal"],
    ["more probes than requests", { probes: 151, requests: 150 }, "evident"],
  ])("%s", (_, counts, verdict) => {
    expect(judged("SUSPICIOUS_PATTERN", counts)).toBe(verdict);
  });
});

describe("given metrics, for a project without measurements", () => {
  const GIVEN = { requests: 100, windows: 2, baseline_hours: 12, baseline_days: 3, probes: 101 };
  const RATES = { ...GIVEN, requests_per_minute: 1_001, baseline_requests_per_minute: 100 };

  test.each([
    ["EXCESSIVE_USAGE", { ...RATES, requests_per_minute: 1_000 }, "normal"],
    ["EXCESSIVE_USAGE", RATES, "evident"],
    ["EXCESSIVE_USAGE", { ...RATES, requests: 99 }, "insufficient"],
    ["EXCESSIVE_USAGE", { ...RATES, windows: 1 }, "insufficient"],
    ["EXCESSIVE_USAGE", { ...RATES, baseline_hours: 11 }, "insufficient"],
    ["EXCESSIVE_USAGE", { ...RATES, baseline_days: 2 }, "insufficient"],
    ["EXCESSIVE_USAGE", { ...RATES, baseline_requests_per_minute: 0 }, "insufficient"],
    ["EXCESSIVE_USAGE", { requests_per_minute: 9_000, baseline_requests_per_minute: 1 }, "insufficient"],
    ["EXCESSIVE_USAGE", { ...RATES, requests: "100" }, "insufficient"],
    ["EXCESSIVE_USAGE", {}, "insufficient"],
    ["ERROR_SPIKE", { ...GIVEN, error_rate: 0.5 }, "normal"],
    ["ERROR_SPIKE", { ...GIVEN, error_rate: 0.51 }, "evident"],
    ["ERROR_SPIKE", GIVEN, "insufficient"],
    ["SUSPICIOUS_PATTERN", { ...GIVEN, probes: 100 }, "normal"],
    ["SUSPICIOUS_PATTERN", GIVEN, "evident"],
    ["SUSPICIOUS_PATTERN", { ...GIVEN, requests: 1, probes: 99 }, "insufficient"],
  ] as const)("%s %o", (pattern, metrics, verdict) => {
    expect(judgeGiven(pattern, metrics).verdict).toBe(verdict);
  });

  test("name the missing metrics", () => {
    expect(judgeGiven("ERROR_SPIKE", { requests: 100, windows: 1 }).why).toBe(
      "nothing was measured for this project, and the given metrics lack: windows of at least 2, baseline_hours of at least 12, baseline_days of at least 3, error_rate",
    );
  });
});

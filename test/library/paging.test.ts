import { describe, expect, test } from "vitest";
import { afterPage, endOf, lastPage, nextPage, pagesToFetch } from "../../worker/src/library/paging.ts";

test.each([
  [1_000, 10],
  [1, 10_000],
  [300, 33],
  [999, 10],
  [700, 14],
])("pages of %i reach page %i: no page goes beyond result 10,000", (pageSize, last) => {
  expect(lastPage(pageSize)).toBe(last);
  expect(last * pageSize).toBeLessThanOrEqual(10_000);
  expect((last + 1) * pageSize).toBeGreaterThan(10_000);
});

test.each([
  [0, 1_000, 1],
  [1_000, 1_000, 2],
  [999, 1_000, 1],
  [500, 300, 2],
  [600, 300, 3],
  [1, 1, 2],
])("after %i results, pages of %i continue with page %i, without a gap", (covered, pageSize, page) => {
  expect(nextPage(covered, pageSize)).toBe(page);
  expect((page - 1) * pageSize).toBeLessThanOrEqual(covered);
  expect(page * pageSize).toBeGreaterThan(covered);
});

test.each([
  ["a list that was never fetched has one", 0, null, 1_000, 1],
  ["as many as the count needs", 0, 6_500, 1_000, 7],
  ["a count that fills its pages needs no more", 0, 7_000, 1_000, 7],
  ["without those already fetched", 2_000, 6_500, 1_000, 5],
  ["without a count, the next one", 2_000, null, 1_000, 1],
  ["none beyond result 10,000", 0, 12_000, 300, 33],
  ["none if 10,000 results were fetched", 10_000, 12_000, 1_000, 0],
  ["none without a count either", 9_900, null, 300, 0],
  ["none for an empty list", 0, 0, 1_000, 0],
  ["none if all are fetched", 7_000, 7_000, 1_000, 0],
  ["another page size begins where its page holds the next result", 500, 900, 300, 2],
])("pages to fetch: %s", (_, results_covered, total, pageSize, pages) => {
  expect(pagesToFetch({ results_covered, total }, pageSize)).toBe(pages);
});

describe("after a page, the list", () => {
  test.each([
    ["continues until its count is reached", { received: 1_000, total: 6_500, page: 6 }, { state: "open", resultsCovered: 6_000 }],
    ["is complete when its count is reached", { received: 500, total: 6_500, page: 7 }, { state: "complete", resultsCovered: 6_500 }],
    [
      "is complete if the last page is exactly full",
      { received: 1_000, total: 7_000, page: 7 },
      { state: "complete", resultsCovered: 7_000 },
    ],
    ["continues after a short page before the end", { received: 990, total: 6_500, page: 2 }, { state: "open", resultsCovered: 2_000 }],
    ["continues without a count while pages are full", { received: 1_000, total: null, page: 3 }, { state: "open", resultsCovered: 3_000 }],
    [
      "ends without a count with a page that is not full",
      { received: 999, total: null, page: 3 },
      { state: "complete", resultsCovered: 2_999 },
    ],
    ["ends without a count with an empty page", { received: 0, total: null, page: 4 }, { state: "complete", resultsCovered: 3_000 }],
    ["is complete if it is empty", { received: 0, total: 0, page: 1 }, { state: "complete", resultsCovered: 0 }],
    ["is truncated at result 10,000", { received: 1_000, total: 12_000, page: 10 }, { state: "truncated", resultsCovered: 10_000 }],
    ["is truncated there without a count too", { received: 1_000, total: null, page: 10 }, { state: "truncated", resultsCovered: 10_000 }],
    ["is complete with exactly 10,000", { received: 1_000, total: 10_000, page: 10 }, { state: "complete", resultsCovered: 10_000 }],
    ["is truncated if counted results are missing", { received: 0, total: 6_500, page: 3 }, { state: "truncated", resultsCovered: 2_000 }],
    ["is complete if the last page lacks a few", { received: 480, total: 6_500, page: 7 }, { state: "complete", resultsCovered: 6_480 }],
  ])("%s", (_, seen, end) => {
    expect(afterPage({ ...seen, pageSize: 1_000, covered: (seen.page - 1) * 1_000 })).toEqual({ ...end, pageSize: 1_000 });
  });

  test("is truncated if the next page would straddle result 10,000", () => {
    expect(afterPage({ received: 300, total: 9_950, page: 33, pageSize: 300, covered: 9_600 })).toMatchObject({
      state: "truncated",
      resultsCovered: 9_900,
    });
  });

  test.each([
    ["from the first page", 0, 1_000, 5_000],
    ["where an earlier call had come to with its own page size", 1_500, 1_000, 5_000],
    ["of a list shorter than one page", 0, 1_000, 730],
    ["with pages of a different size", 200, 250, 1_010],
  ])("is complete only when all results were received, if the provider's pages have at most 100: %s", (_, from, requested, total) => {
    const got = new Set(Array.from({ length: from }, (__, index) => index));
    let [covered, pageSize, state, requests] = [from, requested, "open", 0];
    while (state === "open" && requests < 200) {
      requests += 1;
      const page = nextPage(covered, pageSize);
      const given = Math.min(100, pageSize);
      const results = Array.from({ length: given }, (__, index) => (page - 1) * given + index).filter((index) => index < total);
      for (const index of results) got.add(index);
      ({ state, resultsCovered: covered, pageSize } = afterPage({ received: results.length, total, page, pageSize, covered }));
    }
    expect({ state, covered, got: got.size }).toEqual({ state: "complete", covered: total, got: total });
    expect(requests).toBeLessThanOrEqual(Math.ceil((total - from) / 100) + 2);
  });

  test("is not complete if fewer results were received than counted", () => {
    expect(endOf("complete", 6_480, 6_500)).toBe("truncated");
    expect(endOf("complete", 6_500, 6_500)).toBe("complete");
    expect(endOf("complete", 10, null)).toBe("complete");
  });
});

import { describe, expect, it } from "vitest";
import { StatusLine } from "../../../scripts/harvest/status-line.ts";

const NOW = Date.parse("2026-03-01T23:00:00Z");
const START = {
  type: "start",
  source: "--tier all",
  authors: 1_200,
  settled: 600,
  base_url: "http://x",
  checkpoint: "c",
  resumed: true,
} as const;

describe("the status line", () => {
  it("is empty before the start", () => {
    expect(new StatusLine().text(NOW)).toBe("");
  });

  it("shows progress and current activity without control characters", () => {
    const line = new StatusLine();
    line.update(START);
    line.update({ type: "request", author: "An\u001B[31mna", page: 6 });
    line.update({ type: "author", author: "x", result: "done", books: 3, pages: 1, calls: 2, settled: 660, total: 1_200 });
    expect(line.text(NOW)).toBe("55%, 660 of 1,200 authors · 2 calls spent · An [31mna, page 6");
  });

  it("shows a countdown while the run waits", () => {
    const line = new StatusLine();
    line.update(START);
    const exhausted = { next_author: "Bert", waiting: true, message: "", reset_at: "2026-03-02T00:00:00Z", looks_every_seconds: 60 };
    line.update({ type: "exhausted", ...exhausted });
    expect(line.text(NOW)).toBe("50%, 600 of 1,200 authors · reset in 01:00:00, at 00:00 UTC · next Bert");
    line.update({ type: "continued", next_author: "Bert", waited_seconds: 60 });
    expect(line.text(NOW)).toContain("0 calls spent");
  });
});

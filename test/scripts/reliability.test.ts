/** docs/reliability-matrix.md lists all cells of the fault matrix, and docs/reliability.md quotes them correctly. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FLOWS } from "../faults/cells/index.ts";
import { JOB_FLOWS } from "../faults/jobs/cells/index.ts";
import { ALL_FAULTS, RETRY_AFTER_SECONDS } from "../faults/matrix.ts";
import type { Fault, FlowTable, Row } from "../faults/matrix.ts";
import { matrixPage, withFigures } from "../faults/page.ts";
import { ROOT } from "../support/node/process.ts";

const FAULTS = join(ROOT, "test/faults");
const read = (...path: string[]): string => readFileSync(join(...path), "utf8");
const SUMMARY = read(ROOT, "docs/reliability.md");

describe("docs/reliability-matrix.md", () => {
  it("is the output of npm run reliability", () => {
    expect(read(ROOT, "docs/reliability-matrix.md")).toBe(matrixPage());
  });

  it("lists each flow once, and each target with every fault", () => {
    expect(new Set(FLOWS.map(({ name }) => name)).size).toBe(FLOWS.length);
    expect(new Set(FLOWS.map(({ title }) => title)).size).toBe(FLOWS.length);
    const incomplete = FLOWS.flatMap(({ name, targets }) =>
      targets
        .filter(({ cells, faults = ALL_FAULTS }) => cells.map(([fault]) => fault).join() !== faults.join())
        .map(({ operation }) => `${name}: ${operation}`),
    );
    expect(incomplete).toEqual([]);
  });

  it("has an answer in every cell, no later than D1's limit of 30 s", () => {
    const cells = FLOWS.flatMap(({ name, targets }) =>
      targets.flatMap(({ operation, cells }) => cells.map((cell) => ({ name, operation, cell }))),
    );
    const isAnswered = ([fault, result, seconds, , , , , again]: Row): boolean =>
      (fault === "dies" || !result.startsWith("no answer")) && !again.startsWith("no answer") && seconds <= 30;
    expect(cells.filter(({ cell }) => !isAnswered(cell))).toEqual([]);
  });

  it("has no cell whose fault never happened", () => {
    const rows = FLOWS.flatMap(({ targets }) => targets.flatMap(({ cells }) => cells));
    expect(rows.filter(([, , , attempts]) => attempts === 0)).toEqual([]);
  });

  it("lists exactly the flows that a test runs", () => {
    const declared = readdirSync(join(FAULTS, "cells"))
      .flatMap((file) => [...read(FAULTS, "cells", file).matchAll(/export const (\w+): FlowTable/gu)])
      .map(([, name = ""]) => name);
    const tests = readdirSync(FAULTS)
      .filter((file) => file.endsWith(".test.ts"))
      .map((file) => read(FAULTS, file))
      .join("\n");
    expect(declared.filter((name) => !new RegExp(`faultMatrix\\(\\{\\s*table: ${name}\\b`, "u").test(tests))).toEqual([]);
    expect(declared).toHaveLength(FLOWS.length);
  });
});

function cellOf(flows: readonly FlowTable[], flow: string, operation: string, fault: Fault): Row {
  const target = flows.find(({ name }) => name === flow)?.targets.find((each) => each.operation === operation);
  const cell = target?.cells.find(([each]) => each === fault);
  if (cell === undefined) throw new Error(`No cell ${flow}, ${operation}, ${fault}`);
  return cell;
}

/** Lines of docs/reliability.md, built from the cells that they quote. */
const QUOTES: readonly (readonly [quote: (cell: Row) => string, cell: Row])[] = [
  [([, , seconds]) => `| ledger | ${seconds} s |`, cellOf(FLOWS, "batch", "reserving the call", "hangs")],
  [([, , seconds]) => `| KV | ${seconds} s |`, cellOf(FLOWS, "recovery", "reading the snapshot", "hangs")],
  [([, , seconds]) => `| Workflows | ${seconds} s |`, cellOf(FLOWS, "cron", "creating its instance", "hangs")],
  [([, , seconds]) => `| provider | ${seconds} s (`, cellOf(FLOWS, "batch", "fetching the book", "hangs")],
  [([, , seconds]) => `| provider, reading its count | ${seconds} s |`, cellOf(FLOWS, "usage", "reading the provider's count", "hangs")],
  [([, , seconds]) => `| D1 | ${seconds} s,`, cellOf(FLOWS, "batch", "reading the catalog", "hangs")],
  [([, , seconds]) => `waits only ${seconds} s for D1`, cellOf(FLOWS, "operators-page", "listing suspended projects", "hangs")],
  [([, , seconds]) => `\`GET /metrics\` waits ${seconds} s.`, cellOf(FLOWS, "metrics", "reading jobs and counts", "hangs")],
  [
    ([, , seconds, attempts]) => `Five attempts in ${Math.round(seconds / 60)} minutes${attempts === 5 ? "" : ` (${attempts})`}`,
    cellOf(JOB_FLOWS, "deliver-webhook", "sending the event", "before"),
  ],
  [([, , seconds]) => `After ${seconds} s the Worker stops waiting.`, cellOf(FLOWS, "batch", "fetching the book", "hangs")],
  [
    ([, result]) => `gets ${result.replace(/^(502 )(\w+), (`\w+`), (\d) charged$/u, "$1`$2` with the outcome $3 and $4 charged")} call.`,
    cellOf(FLOWS, "batch", "fetching the book", "hangs"),
  ],
  [
    ([, , , , sent, charged, , , againCharged]) =>
      `The provider counted ${sent + againCharged} calls, and the ledger charged ${charged + againCharged} calls.`,
    cellOf(FLOWS, "batch", "fetching the book", "hangs"),
  ],
  [
    ([, result, seconds]) =>
      `After ${seconds} s the service gets ${result.replace(/ (\w+)$/u, " `$1`")} with \`Retry-After: ${RETRY_AFTER_SECONDS}\`.`,
    cellOf(FLOWS, "reserve", "reserving the call", "hangs"),
  ],
  [([, , , , , , reserved]) => `Only ${reserved} call is reserved.`, cellOf(FLOWS, "reserve", "reserving the call", "hangs")],
  [([, , , , , , , again]) => `It gets ${again} with the same reservation.`, cellOf(FLOWS, "reserve", "reserving the call", "hangs")],
  [
    ([, , seconds, attempts]) => `${attempts} attempts in ${seconds} s.`,
    cellOf(JOB_FLOWS, "sweep", "reading the next page of projects", "before"),
  ],
  [
    ([, result]) => `ends as ${result.replace(/^(\w+): (\w+)$/u, "`$1` with `$2`")}.`,
    cellOf(JOB_FLOWS, "sweep", "reading the next page of projects", "before"),
  ],
];

describe("docs/reliability.md", () => {
  it("has the figures that npm run reliability writes", () => {
    expect(SUMMARY).toBe(withFigures(SUMMARY));
  });

  it.each(QUOTES.map(([quote, cell]) => quote(cell)))("quotes the matrix: %s", (quote) => {
    expect(SUMMARY).toContain(quote);
  });
});

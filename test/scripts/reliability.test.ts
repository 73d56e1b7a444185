/** docs/reliability.md says what the fault matrix asserts, and all of it is asserted. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FLOWS } from "../faults/cells/index.ts";
import { ALL_FAULTS } from "../faults/matrix.ts";
import { page } from "../faults/page.ts";
import { ROOT } from "../support/node/process.ts";

const FAULTS = join(ROOT, "test/faults");
const read = (...path: string[]): string => readFileSync(join(...path), "utf8");

describe("docs/reliability.md", () => {
  it("is what npm run reliability writes", () => {
    expect(read(ROOT, "docs/reliability.md")).toBe(page());
  });

  it("shows each flow and its cells once, and each cell with every fault", () => {
    expect(new Set(FLOWS.map(({ name }) => name)).size).toBe(FLOWS.length);
    expect(new Set(FLOWS.map(({ title }) => title)).size).toBe(FLOWS.length);
    const incomplete = FLOWS.flatMap(({ name, targets }) =>
      targets
        .filter(({ cells, faults = ALL_FAULTS }) => cells.map(([fault]) => fault).join() !== faults.join())
        .map(({ words }) => `${name}: ${words}`),
    );
    expect(incomplete).toEqual([]);
  });

  it("promises everybody an answer, and none later than the platform ends a query", () => {
    const cells = FLOWS.flatMap(({ name, targets }) => targets.flatMap(({ words, cells }) => cells.map((cell) => ({ name, words, cell }))));
    expect(
      cells.filter(
        ({ cell: [fault, told, waits, , , , , again] }) => (fault === "dies" ? [again] : [told, again]).includes("no answer") || waits > 30,
      ),
    ).toEqual([]);
  });

  it("shows no cell in which the fault never struck", () => {
    const rows = FLOWS.flatMap(({ targets }) => targets.flatMap(({ cells }) => cells));
    expect(rows.filter(([, , , tries]) => tries === 0)).toEqual([]);
  });

  it("shows only flows that a test goes through, and all of them", () => {
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

/** Tests assert all cells of jobs in docs/reliability-matrix.md. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { FLOWS } from "../faults/cells/index.ts";
import { JOB_FLOWS } from "../faults/jobs/cells/index.ts";
import { faultsAt, inEveryRun } from "../faults/jobs/every-run.ts";
import { ROOT } from "../support/node/process.ts";

const JOBS = join(ROOT, "test/faults/jobs");

it("lists each flow once, and each target with every fault", () => {
  for (const pick of ["name", "title"] as const) {
    const all = [...FLOWS, ...JOB_FLOWS].map((flow) => `${pick === "name" && JOB_FLOWS.includes(flow) ? "jobs/" : ""}${flow[pick]}`);
    expect(new Set(all).size).toBe(all.length);
  }
  const incomplete = JOB_FLOWS.flatMap(({ name, targets }) =>
    targets
      .filter((target) => target.cells.map(([fault]) => fault).join() !== faultsAt(target).join())
      .map(({ operation }) => `${name}: ${operation}`),
  );
  expect(incomplete).toEqual([]);
});

it("runs each flow in a test, and each of its parts in every run", () => {
  const tests = readdirSync(JOBS)
    .filter((file) => file.endsWith(".test.ts"))
    .map((file) => readFileSync(join(JOBS, file), "utf8"))
    .join("\n");
  const files = readdirSync(join(JOBS, "flows"));
  expect(files.filter((file) => !tests.includes(`"./flows/${file}"`))).toEqual([]);
  expect(tests.match(/^jobMatrix\(/gmu)).toHaveLength(JOB_FLOWS.length);
  expect(readdirSync(join(JOBS, "cells"))).toHaveLength(JOB_FLOWS.length + 1);
  const untested = JOB_FLOWS.flatMap((flow) =>
    [...new Set(flow.targets.map(({ part }) => part))]
      .filter((part) => !flow.targets.some((target) => target.part === part && inEveryRun(flow, target).length > 0))
      .map((part) => `${flow.name}: ${part}`),
  );
  expect(untested).toEqual([]);
});

import type { Fault, FlowTable } from "../matrix.ts";

const faults: readonly Fault[] = ["dies"];

export const workerDies: FlowTable = {
  name: "worker-dies",
  title: "The Worker stops while a project enriches a batch",
  use: "`POST /api/enrich/batch-direct` with a project's API key. The Worker stops right after the named operation, and its background work stops too.",
  clean: "200: 1 enriched, 1 use counted",
  cleanCharged: 1,
  traced: false,
  targets: [
    {
      part: "d1",
      at: "INTO admissions",
      operation: "after the use is counted",
      faults,
      cells: [["dies", "no answer, 1 use counted", 0, 1, 0, 0, 0, "200: 1 enriched, 1 use counted", 1]],
    },
    {
      part: "ledger",
      at: "reserve",
      operation: "after the call is reserved",
      faults,
      cells: [["dies", "no answer, 1 use counted", 0, 1, 0, 0, 1, "200: 1 enriched, 1 use counted", 1]],
    },
    {
      part: "provider",
      at: "POST /books",
      operation: "after the provider answers",
      faults,
      cells: [["dies", "no answer, 1 use counted", 0, 1, 1, 0, 1, "200: 1 enriched, 1 use counted", 1]],
    },
    {
      part: "ledger",
      at: "commit",
      operation: "after the call is charged",
      faults,
      cells: [["dies", "no answer, 1 use counted", 0, 1, 1, 1, 0, "200: 1 enriched, 1 use counted", 1]],
    },
    {
      part: "d1",
      at: "INTO books",
      operation: "after the book is stored",
      faults,
      cells: [["dies", "no answer, 1 use counted", 0, 1, 1, 1, 0, "200: 1 cached, 1 use counted", 0]],
    },
  ],
  covered: [
    { part: "d1", at: "SET last_used_at|INTO project_minutes|AS missed", flow: "project-batch" },
    { part: "d1", at: "SELECT isbn13 FROM books", flow: "batch" },
  ],
};

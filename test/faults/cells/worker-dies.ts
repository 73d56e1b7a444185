import type { Fault, FlowTable } from "../matrix.ts";

const faults: readonly Fault[] = ["dies"];

export const workerDies: FlowTable = {
  name: "worker-dies",
  title: "The Worker dies while a project enriches a batch",
  use: "`POST /api/enrich/batch-direct` with a project's API key; the Worker gets no further than the operation named, and whatever runs beside the answer dies with it.",
  clean: "200: 1 enriched; 1 use counted",
  cleanCharged: 1,
  traced: false,
  targets: [
    {
      part: "d1",
      at: "INTO admissions",
      words: "after the use was counted",
      faults,
      cells: [["dies", "nothing; 1 use counted", 0, 1, 0, 0, 0, "200: 1 enriched; 1 use counted", 1]],
    },
    {
      part: "ledger",
      at: "reserve",
      words: "after the call was reserved",
      faults,
      cells: [["dies", "nothing; 1 use counted", 0, 1, 0, 0, 1, "200: 1 enriched; 1 use counted", 1]],
    },
    {
      part: "provider",
      at: "POST /books",
      words: "after the provider answered",
      faults,
      cells: [["dies", "nothing; 1 use counted", 0, 1, 1, 0, 1, "200: 1 enriched; 1 use counted", 1]],
    },
    {
      part: "ledger",
      at: "commit",
      words: "after the call was charged",
      faults,
      cells: [["dies", "nothing; 1 use counted", 0, 1, 1, 1, 0, "200: 1 enriched; 1 use counted", 1]],
    },
    {
      part: "d1",
      at: "INTO books",
      words: "after the book was stored",
      faults,
      cells: [["dies", "nothing; 1 use counted", 0, 1, 1, 1, 0, "200: 1 cached; 1 use counted", 0]],
    },
  ],
  elsewhere: [
    { part: "d1", at: "SET last_used_at|INTO project_minutes|AS missed", flow: "project-batch" },
    { part: "d1", at: "SELECT isbn13 FROM books", flow: "batch" },
  ],
};

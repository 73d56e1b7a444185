import type { FlowTable } from "../matrix.ts";

export const metrics: FlowTable = {
  name: "metrics",
  title: "Being scraped",
  use: "`GET /metrics`. What could not be read is absent, and `coordinator_source_up` says so.",
  clean: "200: ledger up, database up",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "ledger",
      at: "overview",
      words: "asking the ledger",
      cells: [
        ["before", "200: ledger down, database up", 0, 1, 0, 0, 0, "200: ledger up, database up", 0],
        ["after", "200: ledger down, database up", 0, 1, 0, 0, 0, "200: ledger up, database up", 0],
        ["hangs", "200: ledger down, database up", 5, 1, 0, 0, 0, "200: ledger up, database up", 0],
        ["slow", "200: ledger up, database up", 1.5, 1, 0, 0, 0, "200: ledger up, database up", 0],
        ["nonsense", "200: ledger down, database up", 0, 1, 0, 0, 0, "200: ledger up, database up", 0],
        ["minute", "200: ledger down, database up", 0, 1, 0, 0, 0, "200: ledger up, database up", 0],
        ["restarts", "200: ledger up, database up", 0, 2, 0, 0, 0, "200: ledger up, database up", 0],
      ],
    },
    {
      part: "d1",
      at: "FROM jobs|webhook_tallies",
      words: "reading runs and counts",
      cells: [
        ["before", "200: ledger up, database down", 0, 3, 0, 0, 0, "200: ledger up, database up", 0],
        ["after", "200: ledger up, database down", 0, 3, 0, 0, 0, "200: ledger up, database up", 0],
        ["hangs", "200: ledger up, database down", 5, 3, 0, 0, 0, "200: ledger up, database up", 0],
        ["slow", "200: ledger up, database up", 1.5, 3, 0, 0, 0, "200: ledger up, database up", 0],
        ["nonsense", "200: ledger up, database down", 0, 3, 0, 0, 0, "200: ledger up, database up", 0],
        ["minute", "200: ledger up, database down", 0, 3, 0, 0, 0, "200: ledger up, database up", 0],
        ["restarts", "200: ledger up, database down", 0, 3, 0, 0, 0, "200: ledger up, database up", 0],
      ],
    },
  ],
};

export const page: FlowTable = {
  name: "page",
  title: "The public page",
  use: "`GET /` with a browser, without a session.",
  clean: "200 page",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "ledger",
      at: "overview",
      words: "asking the ledger",
      cells: [
        ["before", "200 page, from the snapshot, and it says so", 0, 1, 0, 0, 0, "200 page", 0],
        ["after", "200 page, from the snapshot, and it says so", 0, 1, 0, 0, 0, "200 page", 0],
        ["hangs", "200 page, from the snapshot, and it says so", 5, 1, 0, 0, 0, "200 page", 0],
        ["slow", "200 page", 1.5, 1, 0, 0, 0, "200 page", 0],
        ["nonsense", "200 page, from the snapshot, and it says so", 0, 1, 0, 0, 0, "200 page", 0],
        ["minute", "200 page, from the snapshot, and it says so", 0, 1, 0, 0, 0, "200 page", 0],
        ["restarts", "200 page", 0, 2, 0, 0, 0, "200 page", 0],
      ],
    },
  ],
};

export const operatorsPage: FlowTable = {
  name: "operators-page",
  title: "The operators' page",
  use: "`GET /` with a browser, signed in: also who is close to a cap, or stopped.",
  clean: "200 page",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "ledger",
      at: "overview",
      words: "asking the ledger",
      cells: [
        ["before", "200 page, from the snapshot, and it says so", 0, 1, 0, 0, 0, "200 page", 0],
        ["after", "200 page, from the snapshot, and it says so", 0, 1, 0, 0, 0, "200 page", 0],
        ["hangs", "200 page, from the snapshot, and it says so", 5, 1, 0, 0, 0, "200 page", 0],
        ["slow", "200 page", 1.5, 1, 0, 0, 0, "200 page", 0],
        ["nonsense", "200 page, from the snapshot, and it says so", 0, 1, 0, 0, 0, "200 page", 0],
        ["minute", "200 page, from the snapshot, and it says so", 0, 1, 0, 0, 0, "200 page", 0],
        ["restarts", "200 page", 0, 2, 0, 0, 0, "200 page", 0],
      ],
    },
    {
      part: "d1",
      at: "FROM threshold_notices",
      words: "reading who is close to a cap",
      cells: [
        ["before", "200 page, who is close to a cap is said to be unknown", 0, 1, 0, 0, 0, "200 page", 0],
        ["after", "200 page, who is close to a cap is said to be unknown", 0, 1, 0, 0, 0, "200 page", 0],
        ["hangs", "200 page, who is close to a cap is said to be unknown", 2, 1, 0, 0, 0, "200 page", 0],
        ["slow", "200 page", 1.5, 1, 0, 0, 0, "200 page", 0],
        ["nonsense", '500 page, "A fault of ours"', 0, 1, 0, 0, 0, "200 page", 0],
        ["minute", "200 page, who is close to a cap is said to be unknown", 0, 1, 0, 0, 0, "200 page", 0],
        ["restarts", "200 page, who is close to a cap is said to be unknown", 0, 1, 0, 0, 0, "200 page", 0],
      ],
    },
    {
      part: "d1",
      at: "FROM suspensions",
      words: "reading who is stopped",
      cells: [
        ["before", "200 page, who is close to a cap is said to be unknown", 0, 2, 0, 0, 0, "200 page", 0],
        ["after", "200 page, who is close to a cap is said to be unknown", 0, 2, 0, 0, 0, "200 page", 0],
        ["hangs", "200 page, who is close to a cap is said to be unknown", 2, 2, 0, 0, 0, "200 page", 0],
        ["slow", "200 page", 1.5, 2, 0, 0, 0, "200 page", 0],
        ["nonsense", '500 page, "A fault of ours"', 0, 2, 0, 0, 0, "200 page", 0],
        ["minute", "200 page, who is close to a cap is said to be unknown", 0, 2, 0, 0, 0, "200 page", 0],
        ["restarts", "200 page, who is close to a cap is said to be unknown", 0, 2, 0, 0, 0, "200 page", 0],
      ],
    },
  ],
};

export const projectsPage: FlowTable = {
  name: "projects-page",
  title: "The list of projects",
  use: "`GET /projects` with a browser, signed in.",
  clean: "200 page",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "d1",
      at: "FROM projects",
      words: "reading the projects",
      cells: [
        ["before", '503 page, "The database does not answer"', 0, 1, 0, 0, 0, "200 page", 0],
        ["after", '503 page, "The database does not answer"', 0, 1, 0, 0, 0, "200 page", 0],
        ["hangs", '503 page, "The database does not answer"', 30, 1, 0, 0, 0, "200 page", 0],
        ["slow", "200 page", 1.5, 1, 0, 0, 0, "200 page", 0],
        ["nonsense", '500 page, "A fault of ours"', 0, 1, 0, 0, 0, "200 page", 0],
        ["minute", '503 page, "The database does not answer"', 0, 1, 0, 0, 0, "200 page", 0],
        ["restarts", '503 page, "The database does not answer"', 0, 1, 0, 0, 0, "200 page", 0],
      ],
    },
  ],
};

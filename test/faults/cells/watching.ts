import type { FlowTable } from "../matrix.ts";

export const metrics: FlowTable = {
  name: "metrics",
  title: "Scrape the metrics",
  use: "`GET /metrics`. Values that could not be read are absent, and `coordinator_source_up` reports the source as down.",
  clean: "200: ledger up, database up, catalog up",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "ledger",
      at: "overview",
      operation: "reading the ledger",
      cells: [
        ["before", "200: ledger down, database up, catalog up", 0, 1, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["after", "200: ledger down, database up, catalog up", 0, 1, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["hangs", "200: ledger down, database up, catalog up", 5, 1, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["slow", "200: ledger up, database up, catalog up", 1.5, 1, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["nonsense", "200: ledger down, database up, catalog up", 0, 1, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["minute", "200: ledger down, database up, catalog up", 0, 1, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["restarts", "200: ledger up, database up, catalog up", 0.05, 2, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
      ],
    },
    {
      part: "d1",
      at: "FROM jobs|webhook_tallies",
      operation: "reading jobs and counts",
      cells: [
        ["before", "200: ledger up, database down, catalog up", 0, 3, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["after", "200: ledger up, database down, catalog up", 0, 3, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["hangs", "200: ledger up, database down, catalog up", 5, 3, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["slow", "200: ledger up, database up, catalog up", 1.5, 3, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["nonsense", "200: ledger up, database down, catalog up", 0, 3, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["minute", "200: ledger up, database down, catalog up", 0, 3, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["restarts", "200: ledger up, database down, catalog up", 0, 3, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
      ],
    },
    {
      part: "d1",
      at: "FROM harvest_targets INDEXED BY",
      operation: "counting the catalog",
      cells: [
        ["before", "200: ledger up, database up, catalog down", 0, 1, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["after", "200: ledger up, database up, catalog down", 0, 1, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["hangs", "200: ledger up, database up, catalog down", 5, 1, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["slow", "200: ledger up, database up, catalog up", 1.5, 1, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["nonsense", "200: ledger up, database up, catalog down", 0, 1, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["minute", "200: ledger up, database up, catalog down", 0, 1, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
        ["restarts", "200: ledger up, database up, catalog down", 0, 1, 0, 0, 0, "200: ledger up, database up, catalog up", 0],
      ],
    },
  ],
};

export const page: FlowTable = {
  name: "page",
  title: "The public page",
  use: "`GET /` in a browser, signed out.",
  clean: "200 page",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "ledger",
      at: "overview",
      operation: "reading the ledger",
      cells: [
        ["before", "200 page, marked as a snapshot", 0, 1, 0, 0, 0, "200 page", 0],
        ["after", "200 page, marked as a snapshot", 0, 1, 0, 0, 0, "200 page", 0],
        ["hangs", "200 page, marked as a snapshot", 5, 1, 0, 0, 0, "200 page", 0],
        ["slow", "200 page", 1.5, 1, 0, 0, 0, "200 page", 0],
        ["nonsense", "200 page, marked as a snapshot", 0, 1, 0, 0, 0, "200 page", 0],
        ["minute", "200 page, marked as a snapshot", 0, 1, 0, 0, 0, "200 page", 0],
        ["restarts", "200 page", 0.05, 2, 0, 0, 0, "200 page", 0],
      ],
    },
  ],
};

export const operatorsPage: FlowTable = {
  name: "operators-page",
  title: "The operators' page",
  use: "`GET /` in a browser, signed in. It also lists suspended projects and projects close to a cap.",
  clean: "200 page",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "ledger",
      at: "overview",
      operation: "reading the ledger",
      cells: [
        ["before", "200 page, marked as a snapshot", 0, 1, 0, 0, 0, "200 page", 0],
        ["after", "200 page, marked as a snapshot", 0, 1, 0, 0, 0, "200 page", 0],
        ["hangs", "200 page, marked as a snapshot", 5, 1, 0, 0, 0, "200 page", 0],
        ["slow", "200 page", 1.5, 1, 0, 0, 0, "200 page", 0],
        ["nonsense", "200 page, marked as a snapshot", 0, 1, 0, 0, 0, "200 page", 0],
        ["minute", "200 page, marked as a snapshot", 0, 1, 0, 0, 0, "200 page", 0],
        ["restarts", "200 page", 0.05, 2, 0, 0, 0, "200 page", 0],
      ],
    },
    {
      part: "d1",
      at: "FROM threshold_notices",
      operation: "listing projects close to a cap",
      cells: [
        ["before", "200 page, caps marked as unknown", 0, 1, 0, 0, 0, "200 page", 0],
        ["after", "200 page, caps marked as unknown", 0, 1, 0, 0, 0, "200 page", 0],
        ["hangs", "200 page, caps marked as unknown", 2, 1, 0, 0, 0, "200 page", 0],
        ["slow", "200 page", 1.5, 1, 0, 0, 0, "200 page", 0],
        ["nonsense", "500 page", 0, 1, 0, 0, 0, "200 page", 0],
        ["minute", "200 page, caps marked as unknown", 0, 1, 0, 0, 0, "200 page", 0],
        ["restarts", "200 page, caps marked as unknown", 0, 1, 0, 0, 0, "200 page", 0],
      ],
    },
    {
      part: "d1",
      at: "FROM suspensions",
      operation: "listing suspended projects",
      cells: [
        ["before", "200 page, caps marked as unknown", 0, 2, 0, 0, 0, "200 page", 0],
        ["after", "200 page, caps marked as unknown", 0, 2, 0, 0, 0, "200 page", 0],
        ["hangs", "200 page, caps marked as unknown", 2, 2, 0, 0, 0, "200 page", 0],
        ["slow", "200 page", 1.5, 2, 0, 0, 0, "200 page", 0],
        ["nonsense", "500 page", 0, 2, 0, 0, 0, "200 page", 0],
        ["minute", "200 page, caps marked as unknown", 0, 2, 0, 0, 0, "200 page", 0],
        ["restarts", "200 page, caps marked as unknown", 0, 2, 0, 0, 0, "200 page", 0],
      ],
    },
  ],
};

export const projectsPage: FlowTable = {
  name: "projects-page",
  title: "The list of projects",
  use: "`GET /projects` in a browser, signed in.",
  clean: "200 page",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "d1",
      at: "FROM projects",
      operation: "reading the projects",
      cells: [
        ["before", "503 page", 0, 1, 0, 0, 0, "200 page", 0],
        ["after", "503 page", 0, 1, 0, 0, 0, "200 page", 0],
        ["hangs", "503 page", 30, 1, 0, 0, 0, "200 page", 0],
        ["slow", "200 page", 1.5, 1, 0, 0, 0, "200 page", 0],
        ["nonsense", "500 page", 0, 1, 0, 0, 0, "200 page", 0],
        ["minute", "503 page", 0, 1, 0, 0, 0, "200 page", 0],
        ["restarts", "503 page", 0, 1, 0, 0, 0, "200 page", 0],
      ],
    },
  ],
};

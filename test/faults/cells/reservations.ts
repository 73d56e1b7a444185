import type { FlowTable } from "../matrix.ts";

export const reserve: FlowTable = {
  name: "reserve",
  title: "Reserve over HTTP",
  use: "`POST /api/quota/reservations` for 1 call, with the caller's own id. The harvest command and other services use it. The reservation is not committed, so it is charged when it expires.",
  clean: "201",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "ledger",
      at: "reserve",
      operation: "reserving the call",
      cells: [
        ["before", "503 quota_unavailable", 0, 1, 0, 0, 0, "201", 1],
        ["after", "503 quota_unavailable", 0, 1, 0, 0, 1, "201", 0],
        ["hangs", "503 quota_unavailable", 5, 1, 0, 0, 1, "201", 0],
        ["slow", "201", 1.5, 1, 0, 0, 1, "201", 0],
        ["nonsense", "503 quota_unavailable", 0, 1, 0, 0, 1, "201", 0],
        ["minute", "503 quota_unavailable", 0, 1, 0, 0, 0, "201", 1],
        ["restarts", "201", 0.05, 2, 0, 0, 1, "201", 0],
      ],
    },
  ],
};

export const commit: FlowTable = {
  name: "commit",
  title: "Commit over HTTP",
  use: "`POST /api/quota/reservations/{id}/commit` for a reservation of 1 call.",
  clean: "200: 1 charged",
  cleanCharged: 1,
  traced: false,
  targets: [
    {
      part: "ledger",
      at: "commit",
      operation: "charging the call",
      cells: [
        ["before", "503 quota_unavailable", 0, 1, 0, 0, 0, "200: 1 charged", 0],
        ["after", "503 quota_unavailable", 0, 1, 0, 1, -1, "200: 1 charged", 0],
        ["hangs", "503 quota_unavailable", 5, 1, 0, 1, -1, "200: 1 charged", 0],
        ["slow", "200: 1 charged", 1.5, 1, 0, 1, -1, "200: 1 charged", 0],
        ["nonsense", "503 quota_unavailable", 0, 1, 0, 1, -1, "200: 1 charged", 0],
        ["minute", "503 quota_unavailable", 0, 1, 0, 0, 0, "200: 1 charged", 0],
        ["restarts", "200: 1 charged", 0.05, 2, 0, 1, -1, "200: 1 charged", 0],
      ],
    },
  ],
};

export const release: FlowTable = {
  name: "release",
  title: "Release over HTTP",
  use: "`DELETE /api/quota/reservations/{id}` for a reservation of 1 call.",
  clean: "200: 1 released",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "ledger",
      at: "release",
      operation: "releasing the call",
      cells: [
        ["before", "503 quota_unavailable", 0, 1, 0, 0, 0, "200: 1 released", -1],
        ["after", "503 quota_unavailable", 0, 1, 0, 0, -1, "200: 1 released", 0],
        ["hangs", "503 quota_unavailable", 5, 1, 0, 0, -1, "200: 1 released", 0],
        ["slow", "200: 1 released", 1.5, 1, 0, 0, -1, "200: 1 released", 0],
        ["nonsense", "503 quota_unavailable", 0, 1, 0, 0, -1, "200: 1 released", 0],
        ["minute", "503 quota_unavailable", 0, 1, 0, 0, 0, "200: 1 released", -1],
        ["restarts", "200: 1 released", 0.05, 2, 0, 0, -1, "200: 1 released", 0],
      ],
    },
  ],
};

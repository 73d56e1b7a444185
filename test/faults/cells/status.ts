import type { FlowTable } from "../matrix.ts";

export const status: FlowTable = {
  name: "status",
  title: "Read the quota status",
  use: "`GET /api/quota/status` without credentials.",
  clean: "200 from the ledger",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "ledger",
      at: "status",
      operation: "reading the ledger",
      cells: [
        ["before", "200 from the snapshot, grants nothing", 0, 1, 0, 0, 0, "200 from the ledger", 0],
        ["after", "200 from the snapshot, grants nothing", 0, 1, 0, 0, 0, "200 from the ledger", 0],
        ["hangs", "200 from the snapshot, grants nothing", 5, 1, 0, 0, 0, "200 from the ledger", 0],
        ["slow", "200 from the ledger", 1.5, 1, 0, 0, 0, "200 from the ledger", 0],
        ["nonsense", "200 from the snapshot, grants nothing", 0, 1, 0, 0, 0, "200 from the ledger", 0],
        ["minute", "200 from the snapshot, grants nothing", 0, 1, 0, 0, 0, "200 from the ledger", 0],
        ["restarts", "200 from the ledger", 0.05, 2, 0, 0, 0, "200 from the ledger", 0],
      ],
    },
  ],
};

export const statusWithoutLedger: FlowTable = {
  name: "status-without-ledger",
  title: "Read the quota status while the ledger is unavailable",
  use: "`GET /api/quota/status` while the ledger throws. The answer comes from the last snapshot.",
  clean: "200 from the snapshot, grants nothing",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "kv",
      at: "get snapshot",
      operation: "reading the snapshot",
      cells: [
        ["before", "503 quota_unavailable", 0, 1, 0, 0, 0, "200 from the snapshot, grants nothing", 0],
        ["after", "503 quota_unavailable", 0, 1, 0, 0, 0, "200 from the snapshot, grants nothing", 0],
        ["hangs", "503 quota_unavailable", 2, 1, 0, 0, 0, "200 from the snapshot, grants nothing", 0],
        ["slow", "200 from the snapshot, grants nothing", 1.5, 1, 0, 0, 0, "200 from the snapshot, grants nothing", 0],
        ["nonsense", "503 quota_unavailable", 0, 1, 0, 0, 0, "200 from the snapshot, grants nothing", 0],
        ["minute", "503 quota_unavailable", 0, 1, 0, 0, 0, "200 from the snapshot, grants nothing", 0],
        ["restarts", "503 quota_unavailable", 0, 1, 0, 0, 0, "200 from the snapshot, grants nothing", 0],
      ],
    },
    {
      part: "kv",
      at: "get settings",
      operation: "reading the enforcement switch",
      cells: [
        ["before", "200 from the snapshot, grants nothing", 0, 1, 0, 0, 0, "200 from the snapshot, grants nothing", 0],
        ["after", "200 from the snapshot, grants nothing", 0, 1, 0, 0, 0, "200 from the snapshot, grants nothing", 0],
        ["hangs", "200 from the snapshot, grants nothing", 2, 1, 0, 0, 0, "200 from the snapshot, grants nothing", 0],
        ["slow", "200 from the snapshot, grants nothing", 1.5, 1, 0, 0, 0, "200 from the snapshot, grants nothing", 0],
        ["nonsense", "200 from the snapshot, grants nothing", 0, 1, 0, 0, 0, "200 from the snapshot, grants nothing", 0],
        ["minute", "200 from the snapshot, grants nothing", 0, 1, 0, 0, 0, "200 from the snapshot, grants nothing", 0],
        ["restarts", "200 from the snapshot, grants nothing", 0, 1, 0, 0, 0, "200 from the snapshot, grants nothing", 0],
      ],
    },
  ],
};

export const statusFromSnapshot: FlowTable = {
  name: "status-from-snapshot",
  title: "Read the quota status from the snapshot",
  use: "`GET /api/quota/status?fresh=false`, which reads KV first.",
  clean: "200 from the snapshot",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "kv",
      at: "get snapshot",
      operation: "reading the snapshot",
      cells: [
        ["before", "200 from the ledger", 0, 1, 0, 0, 0, "200 from the snapshot", 0],
        ["after", "200 from the ledger", 0, 1, 0, 0, 0, "200 from the snapshot", 0],
        ["hangs", "200 from the ledger", 2, 1, 0, 0, 0, "200 from the snapshot", 0],
        ["slow", "200 from the snapshot", 1.5, 1, 0, 0, 0, "200 from the snapshot", 0],
        ["nonsense", "200 from the ledger", 0, 1, 0, 0, 0, "200 from the snapshot", 0],
        ["minute", "200 from the ledger", 0, 1, 0, 0, 0, "200 from the snapshot", 0],
        ["restarts", "200 from the ledger", 0, 1, 0, 0, 0, "200 from the snapshot", 0],
      ],
    },
  ],
};

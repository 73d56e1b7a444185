import type { FlowTable } from "../matrix.ts";

export const status: FlowTable = {
  name: "status",
  title: "Asking how much is left",
  use: "`GET /api/quota/status`, without credentials.",
  clean: "200 from the ledger",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "ledger",
      at: "status",
      words: "asking the ledger",
      cells: [
        ["before", "200 from the snapshot, which grants nothing", 0, 1, 0, 0, 0, "200 from the ledger", 0],
        ["after", "200 from the snapshot, which grants nothing", 0, 1, 0, 0, 0, "200 from the ledger", 0],
        ["hangs", "200 from the snapshot, which grants nothing", 5, 1, 0, 0, 0, "200 from the ledger", 0],
        ["slow", "200 from the ledger", 1.5, 1, 0, 0, 0, "200 from the ledger", 0],
        ["nonsense", "200 from the snapshot, which grants nothing", 0, 1, 0, 0, 0, "200 from the ledger", 0],
        ["minute", "200 from the snapshot, which grants nothing", 0, 1, 0, 0, 0, "200 from the ledger", 0],
        ["restarts", "200 from the ledger", 0, 2, 0, 0, 0, "200 from the ledger", 0],
      ],
    },
  ],
  elsewhere: [],
};

export const statusWithoutLedger: FlowTable = {
  name: "status-without-ledger",
  title: "Asking how much is left while the ledger is away",
  use: "`GET /api/quota/status` while the ledger throws: the answer comes from its last snapshot.",
  clean: "200 from the snapshot, which grants nothing",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "kv",
      at: "get snapshot",
      words: "reading the snapshot",
      cells: [
        ["before", "503 quota_unavailable, again after 5 s", 0, 1, 0, 0, 0, "200 from the snapshot, which grants nothing", 0],
        ["after", "503 quota_unavailable, again after 5 s", 0, 1, 0, 0, 0, "200 from the snapshot, which grants nothing", 0],
        ["hangs", "503 quota_unavailable, again after 5 s", 2, 1, 0, 0, 0, "200 from the snapshot, which grants nothing", 0],
        ["slow", "200 from the snapshot, which grants nothing", 1.5, 1, 0, 0, 0, "200 from the snapshot, which grants nothing", 0],
        ["nonsense", "503 quota_unavailable, again after 5 s", 0, 1, 0, 0, 0, "200 from the snapshot, which grants nothing", 0],
        ["minute", "503 quota_unavailable, again after 5 s", 0, 1, 0, 0, 0, "200 from the snapshot, which grants nothing", 0],
        ["restarts", "503 quota_unavailable, again after 5 s", 0, 1, 0, 0, 0, "200 from the snapshot, which grants nothing", 0],
      ],
    },
    {
      part: "kv",
      at: "get settings",
      words: "reading the enforcement switch",
      cells: [
        ["before", "200 from the snapshot, which grants nothing", 0, 1, 0, 0, 0, "200 from the snapshot, which grants nothing", 0],
        ["after", "200 from the snapshot, which grants nothing", 0, 1, 0, 0, 0, "200 from the snapshot, which grants nothing", 0],
        ["hangs", "200 from the snapshot, which grants nothing", 2, 1, 0, 0, 0, "200 from the snapshot, which grants nothing", 0],
        ["slow", "200 from the snapshot, which grants nothing", 1.5, 1, 0, 0, 0, "200 from the snapshot, which grants nothing", 0],
        ["nonsense", "200 from the snapshot, which grants nothing", 0, 1, 0, 0, 0, "200 from the snapshot, which grants nothing", 0],
        ["minute", "200 from the snapshot, which grants nothing", 0, 1, 0, 0, 0, "200 from the snapshot, which grants nothing", 0],
        ["restarts", "200 from the snapshot, which grants nothing", 0, 1, 0, 0, 0, "200 from the snapshot, which grants nothing", 0],
      ],
    },
  ],
};

export const statusFromSnapshot: FlowTable = {
  name: "status-from-snapshot",
  title: "Asking how much is left, for pollers",
  use: "`GET /api/quota/status?fresh=false`: read from KV at once.",
  clean: "200 from the snapshot",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "kv",
      at: "get snapshot",
      words: "reading the snapshot",
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

import type { FlowTable } from "../matrix.ts";

export const usage: FlowTable = {
  name: "usage",
  title: "Set today's count",
  use: "`PUT /api/quota/usage` with the admin token, one call higher than the current count. The ledger audits every change. The Worker copies the entry into the audit log.",
  clean: "200: +1, audited",
  cleanCharged: 1,
  traced: false,
  targets: [
    {
      part: "provider",
      at: "GET /key",
      operation: "reading the provider's count",
      cells: [
        ["before", "200: +1, audited", 0, 1, 0, 1, 0, "200: +1, audited", 1],
        ["after", "200: +1, audited", 0, 1, 0, 1, 0, "200: +1, audited", 1],
        ["hangs", "200: +1, audited", 3, 1, 0, 1, 0, "200: +1, audited", 1],
        ["slow", "200: +1, audited", 1.5, 1, 0, 1, 0, "200: +1, audited", 1],
        ["nonsense", "200: +1, audited", 0, 1, 0, 1, 0, "200: +1, audited", 1],
        ["minute", "200: +1, audited", 0, 1, 0, 1, 0, "200: +1, audited", 1],
        ["restarts", "200: +1, audited", 0, 1, 0, 1, 0, "200: +1, audited", 1],
      ],
    },
    {
      part: "ledger",
      at: "setUsage",
      operation: "setting the count",
      cells: [
        ["before", "503 quota_unavailable: +0, not audited", 0, 1, 0, 0, 0, "200: +1, audited", 1],
        ["after", "503 quota_unavailable: +1, not audited", 0, 1, 0, 1, 0, "200: +1, audited", 1],
        ["hangs", "503 quota_unavailable: +1, not audited", 5, 1, 0, 1, 0, "200: +1, audited", 1],
        ["slow", "200: +1, audited", 1.5, 1, 0, 1, 0, "200: +1, audited", 1],
        ["nonsense", "503 quota_unavailable: +1, not audited", 0, 1, 0, 1, 0, "200: +1, audited", 1],
        ["minute", "503 quota_unavailable: +0, not audited", 0, 1, 0, 0, 0, "200: +1, audited", 1],
        ["restarts", "200: +1, audited", 0.05, 2, 0, 1, 0, "200: +1, audited", 1],
      ],
    },
    {
      part: "ledger",
      at: "history",
      operation: "reading the audit entry",
      cells: [
        ["before", "200: +1, not audited", 0, 1, 0, 1, 0, "200: +1, audited", 1],
        ["after", "200: +1, not audited", 0, 1, 0, 1, 0, "200: +1, audited", 1],
        ["hangs", "200: +1, not audited", 2, 1, 0, 1, 0, "200: +1, audited", 1],
        ["slow", "200: +1, audited", 1.5, 1, 0, 1, 0, "200: +1, audited", 1],
        ["nonsense", "200: +1, not audited", 0, 1, 0, 1, 0, "200: +1, audited", 1],
        ["minute", "200: +1, not audited", 0, 1, 0, 1, 0, "200: +1, audited", 1],
        ["restarts", "200: +1, audited", 0.05, 2, 0, 1, 0, "200: +1, audited", 1],
      ],
    },
    {
      part: "d1",
      at: "INTO audit_log",
      operation: "copying it into the audit log",
      cells: [
        ["before", "200: +1, not audited", 0, 1, 0, 1, 0, "200: +1, audited", 1],
        ["after", "200: +1, audited", 0, 1, 0, 1, 0, "200: +1, audited", 1],
        ["hangs", "200: +1, audited", 2, 1, 0, 1, 0, "200: +1, audited", 1],
        ["slow", "200: +1, audited", 1.5, 1, 0, 1, 0, "200: +1, audited", 1],
        ["nonsense", "200: +1, audited", 0, 1, 0, 1, 0, "200: +1, audited", 1],
        ["minute", "200: +1, not audited", 0, 1, 0, 1, 0, "200: +1, audited", 1],
        ["restarts", "200: +1, audited", 0, 1, 0, 1, 0, "200: +1, audited", 1],
      ],
    },
  ],
};

export const settings: FlowTable = {
  name: "settings",
  title: "Change settings",
  use: "`PUT /api/quota/settings` with the admin token and a new background floor.",
  clean: "200 applied to the ledger, ledger changed",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "ledger",
      at: "changeSettings",
      operation: "changing the settings",
      cells: [
        ["before", "503 quota_unavailable, unchanged", 0, 1, 0, 0, 0, "200 applied to the ledger, ledger changed", 0],
        ["after", "503 quota_unavailable, ledger changed", 0, 1, 0, 0, 0, "200 applied to the ledger, ledger changed", 0],
        ["hangs", "503 quota_unavailable, ledger changed", 5, 1, 0, 0, 0, "200 applied to the ledger, ledger changed", 0],
        ["slow", "200 applied to the ledger, ledger changed", 1.5, 1, 0, 0, 0, "200 applied to the ledger, ledger changed", 0],
        ["nonsense", "503 quota_unavailable, ledger changed", 0, 1, 0, 0, 0, "200 applied to the ledger, ledger changed", 0],
        ["minute", "503 quota_unavailable, unchanged", 0, 1, 0, 0, 0, "200 applied to the ledger, ledger changed", 0],
        ["restarts", "200 applied to the ledger, ledger changed", 0.05, 2, 0, 0, 0, "200 applied to the ledger, ledger changed", 0],
      ],
    },
  ],
  covered: [
    { part: "ledger", at: "history", flow: "usage" },
    { part: "d1", at: "INTO audit_log", flow: "usage" },
  ],
};

export const enforcement: FlowTable = {
  name: "enforcement",
  title: "Change enforcement",
  use: '`PUT /api/quota/settings` `{enforcement: "observe"}` with the admin token. While the ledger is unavailable, the change is stored in KV only.',
  clean: "200 applied to the ledger, ledger changed",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "ledger",
      at: "changeSettings",
      operation: "changing the switch in the ledger",
      cells: [
        ["before", "200 applied to the switch, KV changed", 0, 1, 0, 0, 0, "200 applied to the ledger, ledger changed", 0],
        ["after", "200 applied to the switch, ledger changed", 0, 1, 0, 0, 0, "200 applied to the ledger, ledger changed", 0],
        ["hangs", "200 applied to the switch, ledger changed", 5, 1, 0, 0, 0, "200 applied to the ledger, ledger changed", 0],
        ["slow", "200 applied to the ledger, ledger changed", 1.5, 1, 0, 0, 0, "200 applied to the ledger, ledger changed", 0],
        ["nonsense", "200 applied to the switch, ledger changed", 0, 1, 0, 0, 0, "200 applied to the ledger, ledger changed", 0],
        ["minute", "200 applied to the switch, KV changed", 0, 1, 0, 0, 0, "200 applied to the ledger, ledger changed", 0],
        ["restarts", "200 applied to the ledger, ledger changed", 0.05, 2, 0, 0, 0, "200 applied to the ledger, ledger changed", 0],
      ],
    },
  ],
  covered: [
    { part: "ledger", at: "history", flow: "usage" },
    { part: "d1", at: "INTO audit_log", flow: "usage" },
  ],
};

export const enforcementWithoutLedger: FlowTable = {
  name: "enforcement-without-ledger",
  title: "Change enforcement while the ledger is unavailable",
  use: "The same request while the ledger throws.",
  clean: "200 applied to the switch, KV changed",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "kv",
      at: "get settings",
      operation: "reading the switch",
      cells: [
        ["before", "503 quota_unavailable, unchanged", 0, 1, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["after", "503 quota_unavailable, unchanged", 0, 1, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["hangs", "503 quota_unavailable, unchanged", 2, 1, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["slow", "200 applied to the switch, KV changed", 1.5, 1, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["nonsense", "200 applied to the switch, KV changed", 0, 1, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["minute", "503 quota_unavailable, unchanged", 0, 1, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["restarts", "503 quota_unavailable, unchanged", 0, 1, 0, 0, 0, "200 applied to the switch, KV changed", 0],
      ],
    },
    {
      part: "kv",
      at: "put settings",
      operation: "changing the switch",
      cells: [
        ["before", "503 quota_unavailable, unchanged", 1.1, 2, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["after", "503 quota_unavailable, KV changed", 1.1, 2, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["hangs", "503 quota_unavailable, KV changed", 5.1, 2, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["slow", "200 applied to the switch, KV changed", 1.5, 1, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["nonsense", "200 applied to the switch, KV changed", 0, 1, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["minute", "503 quota_unavailable, unchanged", 1.1, 2, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["restarts", "200 applied to the switch, KV changed", 1.1, 2, 0, 0, 0, "200 applied to the switch, KV changed", 0],
      ],
    },
    {
      part: "d1",
      at: "INTO audit_log",
      operation: "copying it into the audit log",
      cells: [
        ["before", "200 applied to the switch, KV changed", 0, 1, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["after", "200 applied to the switch, KV changed", 0, 1, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["hangs", "200 applied to the switch, KV changed", 2, 1, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["slow", "200 applied to the switch, KV changed", 1.5, 1, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["nonsense", "200 applied to the switch, KV changed", 0, 1, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["minute", "200 applied to the switch, KV changed", 0, 1, 0, 0, 0, "200 applied to the switch, KV changed", 0],
        ["restarts", "200 applied to the switch, KV changed", 0, 1, 0, 0, 0, "200 applied to the switch, KV changed", 0],
      ],
    },
  ],
};

export const reset: FlowTable = {
  name: "reset",
  title: "Reset today's count",
  use: "`POST /api/quota/reset` with the admin token, after 1 charged call.",
  clean: "200: 0 used",
  cleanCharged: -1,
  traced: false,
  targets: [
    {
      part: "ledger",
      at: "reset",
      operation: "setting the count",
      cells: [
        ["before", "503 quota_unavailable: 1 used", 0, 1, 0, 0, 0, "200: 0 used", -1],
        ["after", "503 quota_unavailable: 0 used", 0, 1, 0, -1, 0, "200: 0 used", 0],
        ["hangs", "503 quota_unavailable: 0 used", 5, 1, 0, -1, 0, "200: 0 used", 0],
        ["slow", "200: 0 used", 1.5, 1, 0, -1, 0, "200: 0 used", 0],
        ["nonsense", "503 quota_unavailable: 0 used", 0, 1, 0, -1, 0, "200: 0 used", 0],
        ["minute", "503 quota_unavailable: 1 used", 0, 1, 0, 0, 0, "200: 0 used", -1],
        ["restarts", "200: 0 used", 0.05, 2, 0, -1, 0, "200: 0 used", 0],
      ],
    },
  ],
  covered: [
    { part: "provider", at: "GET /key", flow: "usage" },
    { part: "ledger", at: "history", flow: "usage" },
    { part: "d1", at: "INTO audit_log", flow: "usage" },
  ],
};

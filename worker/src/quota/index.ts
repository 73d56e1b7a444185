/** The quota coordinator's public face. `quota/` knows the ledger and KV, and nothing of HTTP, the provider or the catalogue. */
export { QuotaAdmin } from "./quota-admin.ts";
export { QuotaManager } from "./quota-manager.ts";
export type { Spending, WithQuota } from "./quota-manager.ts";
export type { Watch } from "./watch.ts";
export { RefusalMemory } from "./refusal-memory.ts";
export { EnforcementSwitchReader, QuotaKv } from "./snapshot.ts";
export { rateLimitFields } from "./ratelimit-fields.ts";
export { refusalProblem } from "./refusal.ts";
export { PROJECT_CALLER_PREFIX } from "./types.ts";
export { isReservedCaller, projectCaller, publicCallers, publicStatus, statusOfCaller } from "./status.ts";
export { DEFAULT_TTL_SECONDS, MAX_TTL_SECONDS, maxTtlSeconds } from "./policy.ts";
export type { Operation } from "./ledger-operator.ts";
export type { AuditEntry } from "./ledger-reader.ts";
export type {
  DayTotal,
  ProviderCount,
  ProviderReport,
  QuotaOverview,
  QuotaStatus,
  Refusal,
  RefusedBy,
  SettingsChange,
  Settlement,
  Spender,
} from "./types.ts";

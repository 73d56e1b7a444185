/** The quota coordinator's public interface. `quota/` uses the ledger and KV, and does not know HTTP, the provider or the catalog. */
export { QuotaAdmin } from "./admin.ts";
export { QuotaManager } from "./manager.ts";
export { PublicAnswers } from "./public-answers.ts";
export type { Spending, WithQuota } from "./manager.ts";
export { RefusalMemory } from "./refusal-memory.ts";
export { EnforcementSwitchReader, QuotaKv } from "./snapshot.ts";
export { refusalProblem } from "./refusal.ts";
export { PROJECT_CALLER_PREFIX } from "./types.ts";
export { isReservedCaller, projectCaller, publicStatus, rateLimitFields, statusOfCaller } from "./status.ts";
export { DEFAULT_TTL_SECONDS, MAX_TTL_SECONDS, defaultShare, maxTtlSeconds, safetyLimit } from "./policy.ts";
export type { AuditEntry } from "./views.ts";
export type { Watch } from "./watch.ts";
export type {
  DayTotal,
  Operation,
  ProviderCount,
  ProviderReport,
  QuotaOverview,
  QuotaStatus,
  Refusal,
  RefusedBy,
  Settings,
  SettingsChange,
  Settlement,
  Spender,
} from "./types.ts";

/** The quota coordinator's public face. `quota/` knows the ledger and KV, and nothing of HTTP, the provider or the catalogue. */
export { QuotaAdmin } from "./quota-admin.ts";
export { QuotaManager } from "./quota-manager.ts";
export type { Spending } from "./quota-manager.ts";
export { EnforcementSwitchReader, QuotaKv } from "./snapshot.ts";
export { rateLimitFields } from "./ratelimit-fields.ts";
export { refusalProblem } from "./refusal.ts";
export { isReservedCaller, publicCallers, publicStatus } from "./status.ts";
export { DEFAULT_TTL_SECONDS, MAX_TTL_SECONDS } from "./policy.ts";
export { isoSeconds } from "./window.ts";
export type { Priority, ProviderCount, ProviderReport, QuotaStatus, Refusal, SettingsChange, Settlement } from "./types.ts";

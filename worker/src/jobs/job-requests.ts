/** What the methods that ask for jobs are given, in the field's established names. No I/O. No clock. */
import type { AbusePattern } from "../store/abuse/abuse.ts";
import type { ExportType } from "../store/backups/backups.ts";
import type { CapType } from "../store/limits/meters.ts";
import type { JobPayloadInput } from "./catalog.ts";

export interface EnqueueOptions {
  /** `admin`, `cron`, `job:<id>`. */
  readonly requestedBy: string;
  /** The same key of the same asker and type is the same job; none: a job of its own. */
  readonly idempotencyKey?: string | undefined;
  readonly delaySeconds?: number | undefined;
  /** Instead of the type's. */
  readonly maxAttempts?: number | undefined;
  readonly projectId?: string | undefined;
  readonly requestId?: string | null | undefined;
  readonly traceparent?: string | null | undefined;
  /** The cron whose tick this is. */
  readonly cron?: { readonly expression: string; readonly scheduledTime: number } | undefined;
}

export interface CheckUsageLimits {
  readonly checkAll?: boolean;
  readonly projectIds?: readonly string[];
  readonly capTypes?: readonly CapType[];
  readonly enforceLimits?: boolean;
}

export interface AutoSuspend {
  readonly projectId: string;
  readonly patternType: AbusePattern;
  readonly metrics?: Readonly<Record<string, number | string>>;
  readonly enforceAction?: boolean;
  /** Epoch milliseconds: the end of what is looked at. */
  readonly asOf?: number;
}

export interface ExportBackup {
  readonly projectId: string;
  readonly exportType?: ExportType;
}

export interface ProvisionProject {
  readonly projectId: string;
  readonly projectName: string;
  readonly ownerId: string | null;
  readonly region: string | null;
}

export interface RotateKey {
  /** SHA-256 in hex of the whole new key, where the caller made it. */
  readonly newKeySha256?: string;
  readonly immediate?: boolean;
  /** That exists already: only the grace is kept. */
  readonly version?: number;
}

export interface DeliverWebhook {
  readonly webhookId: string;
  readonly projectId: string;
  readonly url: string;
  readonly payload: JobPayloadInput<"deliver_webhook">["payload"];
}

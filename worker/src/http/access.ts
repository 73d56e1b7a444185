/** The caller of a request, as routes see it. The authentication middleware determines it. */
import type { Demand } from "../store/limits/admissions.ts";
import type { RequestCounts } from "../store/abuse/rates.ts";
import type { Scope } from "../store/keys/api-keys.ts";
import type { ShareMode } from "../store/projects/projects.ts";

/** An admitted project. */
export interface ProjectPrincipal {
  readonly kind: "project";
  readonly projectId: string;
  readonly keyId: string;
  readonly scopes: readonly Scope[];
  /** Expiry of the key in epoch milliseconds. null: never. */
  readonly keyExpiresAt: number | null;
  /** Share of the provider's limit. Null: unlimited. */
  readonly share: number | null;
  readonly shareMode: ShareMode;
}

/** A key as sent, not yet looked up. */
export interface KeyPrincipal {
  readonly kind: "key";
  /** Looks up the key and admits it. Throws a problem if it refuses. `returnUse` returns the counted use. */
  readonly admit: (demand: Demand) => Promise<{ readonly project: ProjectPrincipal; readonly returnUse: () => void }>;
  /** Counts a response for the project, if the key works. */
  readonly count: (tally: RequestCounts) => Promise<void>;
}

export interface AdminPrincipal {
  readonly kind: "admin";
}

interface AnonymousPrincipal {
  readonly kind: "anonymous";
  /** `mistyped`: an API key whose checksum is wrong. */
  readonly credentials: "none" | "wrong" | "mistyped";
}

/** The sender of a request. A key becomes a project when a guard has admitted it. */
export type Principal = AnonymousPrincipal | AdminPrincipal | KeyPrincipal | ProjectPrincipal;

/** The caller that a handler works for. */
export type Caller = AdminPrincipal | ProjectPrincipal;

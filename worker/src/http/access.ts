/** What routes may ask about who calls. The front door's middleware answers it; routes need not know how. */
import type { Demand } from "../store/limits/admissions.ts";
import type { RequestCounts } from "../store/abuse/rates.ts";
import type { ShareMode } from "../store/projects/projects.ts";

/** A project that was let in. */
export interface ProjectPrincipal {
  readonly kind: "project";
  readonly projectId: string;
  readonly keyId: string;
  /** Its share of the provider's limit; null: unlimited. */
  readonly share: number | null;
  readonly shareMode: ShareMode;
}

/** A key as it was sent: nobody has looked yet whether it exists. */
export interface KeyPrincipal {
  readonly kind: "key";
  /** Looks it up, and lets it in. Throws the problem that says why not. */
  readonly admit: (demand: Demand) => Promise<{ readonly project: ProjectPrincipal; readonly returnUse: () => void }>;
  /** Counts an answer for its project, where the key works. */
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

/** Who is asking. A key becomes a project when a guard has admitted it. */
export type Principal = AnonymousPrincipal | AdminPrincipal | KeyPrincipal | ProjectPrincipal;

/** Whom a handler works for. */
export type Caller = AdminPrincipal | ProjectPrincipal;

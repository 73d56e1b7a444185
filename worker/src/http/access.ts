/** What routes may ask about who calls. The front door's middleware answers it; routes need not know how. */

/** What a key must be good for, and what one request counts as. */
export type ProjectDemand =
  /** The project must be active and have allowance left. */
  | { readonly kind: "use"; readonly scope: Scope; readonly meter: "db_queries_per_day" | "function_invocations_per_day" | null }
  /** It asks about itself, and may when it is stopped. Scope null: every key that works may. */
  | { readonly kind: "own"; readonly scope: Scope | null; readonly meter: null };

export type Scope = "read" | "enrich" | "admin";

/** A project that was let in. */
export interface ProjectPrincipal {
  readonly kind: "project";
  readonly projectId: string;
  readonly keyId: string;
  /** Its part of the provider's day; null: unlimited. */
  readonly share: number | null;
}

/** A key as it was sent: nobody has looked yet whether it exists. */
export interface KeyPrincipal {
  readonly kind: "key";
  /** Looks it up, and lets it in. Throws the problem that says why not. */
  readonly admit: (demand: ProjectDemand) => Promise<{ readonly project: ProjectPrincipal; readonly giveBack: () => void }>;
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

/** Changes of the quota by operators, in the API's terms, and their copy in the audit log. */
import { PROVIDER } from "../../deps.ts";
import type { AppContext } from "../../http/index.ts";
import { inTime } from "../../lib/in-time.ts";
import { errorFields, log } from "../../lib/log.ts";
import type { AuditEntry, Operation } from "../../quota/index.ts";
import { addAudit } from "../../store/changes.ts";

/** Maximum wait of a response for the copy. */
const COPY_TIMEOUT_MS = 2_000;
/** Right after midnight an operation may belong to yesterday. */
const DAYS_SEARCHED = 2;

/** The id makes the operation idempotent in the ledger, and is the same in the audit log. */
export const byAdmin = (): Operation => ({ id: crypto.randomUUID(), actor: "admin" });

/** Converts the ledger's settings to snake_case. */
function snakeCased(json: string): unknown {
  const value: unknown = JSON.parse(json);
  if (typeof value !== "object" || value === null) return value;
  const snakeCase = (name: string): string => name.replaceAll(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [snakeCase(name), member as unknown]));
}

export function shownOperation({ at, action, actor, before, after }: AuditEntry) {
  return { at, action, actor, before: snakeCased(before), after: snakeCased(after) };
}

interface Change {
  readonly action: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** `done`: the change, if the ledger does not know it. Never throws, because the change is made and the ledger has the entry. */
export async function copyToAudit(c: AppContext, operation: Operation, done?: Change): Promise<void> {
  const { db, clock } = c.get("deps");
  const copy = async (): Promise<void> => {
    const { action, before, after } = done ?? (await changeOf(c, operation));
    const note = { action: `quota.${action}`, subject: `quota:${PROVIDER}`, projectId: null, before, after };
    await addAudit(db, { ...operation, now: clock() }, note);
  };
  try {
    await inTime("The audit log", COPY_TIMEOUT_MS, copy());
  } catch (error) {
    const fields = { request_id: c.get("requestId"), operation: operation.id, ...errorFields(error) };
    log.error("Copying a change of the quota into the audit log failed", fields);
  }
}

async function changeOf(c: AppContext, { id }: Operation): Promise<Change> {
  const { operations } = await c.get("deps").quotaAdmin.history(DAYS_SEARCHED);
  const own = operations.find((operation) => operation.id === id);
  if (!own) throw new Error(`The ledger has no operation ${id}`);
  return shownOperation(own);
}

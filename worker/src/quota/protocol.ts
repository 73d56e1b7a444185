/**
 * What crosses the RPC between Workers and ledgers. During a deploy, and after a rollback, they are of different releases:
 *
 * - A field may be added if it may be left out, and if the ledger before, which does not know it, grants no more without it. What must not
 *   be ignored is a method of a new name: a ledger that does not have it fails, and nothing is sent.
 * - A field or a method is removed one release after the last one that uses it. None changes its meaning.
 * - A request that this ledger cannot read changes nothing and fails, which is a 503.
 * - An answer must have every field that a grant, a charge or a shown number depends on. Unknown fields are ignored.
 *
 * No I/O. No clock.
 */
import { z } from "zod";
import { ENFORCEMENTS } from "../env.ts";

const id = z.string().min(1);
const calls = z.int().min(0);
const share = calls.nullish();
const shareMode = z.enum(["default", "fixed", "unlimited"]).optional();
const spending = {
  cost: z.union([z.looseObject({ calls }), z.looseObject({ batchOf: z.int().min(1) })]),
  caller: z.string().min(1),
  priority: z.enum(["interactive", "background"]),
  share,
  shareMode,
  minCalls: calls.optional(),
  ttlSeconds: z.number().positive().optional(),
};
const operation = z.looseObject({ id, actor: z.string() });

const REQUESTS = {
  check: z.looseObject(spending),
  reserve: z.looseObject({ id, ...spending }),
  commit: z.looseObject({
    id,
    calls: calls.optional(),
    sentAt: z.number().optional(),
    within: z.looseObject({ share, shareMode }).optional(),
    settlement: z.looseObject({ sent: z.enum(["no", "yes", "maybe"]) }).optional(),
  }),
  add: z.looseObject({ id, caller: z.string().min(1), calls }),
  setUsage: z.looseObject({ operation, used: calls }),
  reset: z.looseObject({ operation }),
  // A strict object: a setting that this ledger does not know would be reported as changed.
  changeSettings: z.looseObject({
    operation,
    change: z
      .strictObject({
        dailyLimit: calls.optional(),
        safetyBuffer: calls.optional(),
        backgroundFloor: calls.optional(),
        ratePerSecond: z.number().min(0).optional(),
        enforcement: z.enum(ENFORCEMENTS).optional(),
      })
      .nullable(),
  }),
} as const;

/** In answers and in snapshots. */
export const status = z.looseObject({
  provider: z.string(),
  date: z.iso.date(),
  daily_limit: z.int(),
  safety_limit: z.int(),
  used: z.int(),
  reserved: calls,
  remaining: calls,
  percentage_used: z.int(),
  reset_at: z.string(),
  can_make_calls: z.boolean(),
  safety_remaining: z.int(),
  enforcement: z.enum(ENFORCEMENTS),
  source: z.enum(["ledger", "snapshot"]),
  as_of: z.string(),
  callers: z.array(z.object({ caller: z.string(), used: z.int() })),
  forecast: z.object({ calls_per_hour: z.int(), exhausted_at: z.string().nullable() }),
  background: z.object({ floor: z.int(), remaining: z.int() }),
  upstream: z.looseObject({ limit: z.int(), spent: z.int(), untracked: z.int(), observed_at: z.string() }).nullable(),
});
const waiting = { callsNeeded: calls, available: calls, waitMs: z.number().min(0) };
const shareUse = z.looseObject({ calls_per_day: z.int(), used: z.int(), reserved: z.int() });
/** No text could be written for a rule that is not listed here. */
const refusal = z.union([
  z.looseObject({ refusedBy: z.enum(["daily", "floor", "hold", "projects-hold", "pace", "price"]), ...waiting }),
  z.looseObject({ refusedBy: z.literal("share"), share: shareUse, ...waiting }),
]);
const reservation = z.looseObject({
  id: z.string(),
  calls,
  expiresAt: z.number(),
  startAt: z.number(),
  decidedAt: z.number(),
  probe: z.boolean(),
});

const conflict = z.looseObject({ result: z.literal("conflict"), detail: z.string() });
const impossible = z.looseObject({ result: z.literal("impossible"), detail: z.string() });
const unknown = z.looseObject({ result: z.literal("unknown") });
const committed = z.looseObject({ result: z.literal("committed"), charged: calls, late: z.boolean(), status });
const settled = z.discriminatedUnion("result", [committed, unknown, impossible]);

const days = z.array(z.looseObject({ date: z.iso.date(), used: z.int() }));
const mirror = z.looseObject({ overrides: z.looseObject({}) });
const changed = z.looseObject({ result: z.literal("changed"), mirror, settings: z.looseObject({}), status });

const ANSWERS = {
  reserve: z.discriminatedUnion("result", [
    z.looseObject({ result: z.literal("granted"), reservation, status }),
    z.looseObject({ result: z.literal("refused"), refusal, status }),
    conflict,
    impossible,
  ]),
  commit: settled,
  add: settled,
  release: z.discriminatedUnion("result", [z.looseObject({ result: z.literal("released"), calls, status }), unknown, conflict]),
  abandon: z.looseObject({ abandoned: z.literal(true) }),
  check: z.looseObject({ allowed: z.boolean(), refusal: refusal.nullable(), available: calls, callsNeeded: calls, status }),
  status,
  overview: z.looseObject({ status, ledger: z.looseObject({ days, hours: z.array(z.unknown()), tallies: z.array(z.unknown()) }) }),
  callerUse: z.looseObject({ used: z.int(), reserved: z.int() }),
  history: z.looseObject({
    days,
    operations: z.array(z.looseObject({ id: z.string(), at: z.string(), action: z.string() })),
    status,
  }),
  observe: status,
  setUsage: status,
  reset: status,
  changeSettings: z.discriminatedUnion("result", [changed, impossible]),
  rollOver: z.looseObject({ date: z.iso.date(), rolledOver: z.boolean() }),
  initialise: z.unknown(),
} as const;

/** The request as it is. Throws where it cannot be read. */
export function readableRequest<Request extends object>(method: keyof typeof REQUESTS, request: Request): Request {
  const { success, error } = REQUESTS[method].safeParse(request);
  if (success) return request;
  const issues = error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new Error(`This ledger cannot read what it is asked to ${method}: ${issues.join("; ")}`);
}

/** The answer as it is. Throws where it cannot be read. */
export function readableAnswer<Answer>(method: keyof typeof ANSWERS, answer: Answer): Answer {
  const { error } = ANSWERS[method].safeParse(answer);
  if (error) throw new Error(`The ledger's answer to ${method} cannot be read: ${z.prettifyError(error)}`);
  return answer;
}

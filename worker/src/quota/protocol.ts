/**
 * Schemas of the RPC between Workers and ledgers. During a deploy and after a rollback, the two run different releases:
 *
 * - A new field must be optional, and a ledger of the previous release, which does not know it, must not grant more without it. If a
 *   ledger must not ignore the new data, add a method with a new name: an older ledger then fails, and nothing is sent.
 * - Remove a field or a method one release after the last release that uses it. Never change its meaning.
 * - A request that this ledger cannot read changes nothing and fails with a 503.
 * - An answer must contain every field that a grant, a charge or a displayed number depends on. Unknown fields are ignored.
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
  // A strict object. Otherwise an unknown setting would be ignored and reported as changed.
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

/** The status in answers and in snapshots. */
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
/** Rules of refusals. An answer with an unlisted rule is unreadable, because the rule has no message. */
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
const settings = z.looseObject({
  dailyLimit: z.int(),
  safetyBuffer: z.int(),
  backgroundFloor: z.int(),
  ratePerSecond: z.number(),
  enforcement: z.enum(ENFORCEMENTS),
});
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
  settings: z.looseObject({ settings, configured: settings, status }),
  reservation: z.looseObject({
    reservation: z
      .looseObject({
        state: z.enum(["held", "committed", "released", "expired", "late"]),
        calls,
        charged: calls.nullable(),
        startAt: z.number(),
        expiresAt: z.number(),
      })
      .nullable(),
    status,
  }),
  observe: status,
  setUsage: status,
  reset: status,
  changeSettings: z.discriminatedUnion("result", [changed, impossible]),
  rollOver: z.looseObject({ date: z.iso.date(), rolledOver: z.boolean() }),
  initialise: z.unknown(),
} as const;

/** Returns the request unchanged. Throws if this ledger cannot read it. */
export function validRequest<Request extends object>(method: keyof typeof REQUESTS, request: Request): Request {
  const { success, error } = REQUESTS[method].safeParse(request);
  if (success) return request;
  const issues = error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new Error(`The ledger cannot read a request to ${method}: ${issues.join("; ")}`);
}

/** Returns the answer unchanged. Throws if this Worker cannot read it. */
export function validAnswer<Answer>(method: keyof typeof ANSWERS, answer: Answer): Answer {
  const { error } = ANSWERS[method].safeParse(answer);
  if (error) throw new Error(`The ledger's answer to ${method} cannot be read: ${z.prettifyError(error)}`);
  return answer;
}

/**
 * What crosses the RPC between Workers and ledgers. During a deploy, and after a rollback, they are of different releases:
 *
 * - A field may be added if it may be left out, and if the ledger before, which does not know it, grants no more without it. What must not
 *   be ignored is a method of a new name: a ledger that does not have it fails, and nothing is sent.
 * - A field or a method is removed one release after the last one that uses it. None changes its meaning.
 * - A request that this ledger cannot read changes nothing and fails, which is a 503.
 * - An answer on which a grant, a charge or the identity of an operation depends must be complete. Unknown fields are ignored.
 *
 * No I/O. No clock.
 */
import { z } from "zod";
import { ENFORCEMENTS } from "../env.ts";

const id = z.string().min(1);
const calls = z.int().min(0);
const share = calls.nullish();
const spending = {
  cost: z.union([z.looseObject({ calls }), z.looseObject({ batchOf: z.int().min(1) })]),
  caller: z.string().min(1),
  priority: z.enum(["interactive", "background"]),
  share,
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
    within: z.looseObject({ share }).optional(),
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

const signed = z.int();
const status = z.looseObject({
  date: z.iso.date(),
  daily_limit: signed,
  safety_limit: signed,
  used: signed,
  reserved: calls,
  remaining: calls,
  percentage_used: signed,
  reset_at: z.string(),
  can_make_calls: z.boolean(),
  enforcement: z.enum(ENFORCEMENTS),
  callers: z.array(z.looseObject({ caller: z.string(), used: signed })),
  forecast: z.looseObject({ calls_per_hour: z.number() }),
  background: z.looseObject({ floor: signed, remaining: signed }),
  upstream: z.looseObject({ spent: signed, untracked: signed }).nullable(),
});
const waiting = { callsNeeded: calls, available: calls, waitMs: z.number().min(0) };
const shareUse = z.looseObject({ calls_per_day: signed, used: signed, reserved: signed });
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

const ANSWERS: Partial<Record<string, z.ZodType>> = {
  reserve: z.discriminatedUnion("result", [
    z.looseObject({ result: z.literal("granted"), reservation, status }),
    z.looseObject({ result: z.literal("refused"), refusal, status }),
    conflict,
    impossible,
  ]),
  commit: settled,
  add: settled,
  release: z.discriminatedUnion("result", [z.looseObject({ result: z.literal("released"), calls, status }), unknown, conflict]),
  check: z.looseObject({ allowed: z.boolean(), refusal: refusal.nullable(), available: calls, callsNeeded: calls, status }),
  status,
  history: z.looseObject({
    days: z.array(z.looseObject({ date: z.iso.date(), used: signed })),
    operations: z.array(z.looseObject({ id: z.string(), at: z.string(), action: z.string() })),
    status,
  }),
};

/** The request as it is. Throws where it cannot be read. */
export function readableRequest<Request extends object>(method: keyof typeof REQUESTS, request: Request): Request {
  const { success, error } = REQUESTS[method].safeParse(request);
  if (success) return request;
  const issues = error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
  throw new Error(`This ledger cannot read what it is asked to ${method}: ${issues.join("; ")}`);
}

/** The answer as it is. Throws where it cannot be read. */
export function readableAnswer<Answer>(method: string, answer: Answer): Answer {
  const error = ANSWERS[method]?.safeParse(answer).error;
  if (error) throw new Error(`The ledger's answer to ${method} cannot be read: ${z.prettifyError(error)}`);
  return answer;
}

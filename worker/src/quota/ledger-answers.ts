/**
 * What the ledger may answer. It may be of another release than whoever asks (the rule stands in ledger-requests.ts): more than is known here
 * is let through, and whatever a grant or a charge depends on must be there. No I/O. No clock.
 */
import type { DurableObject } from "cloudflare:workers";
import { z } from "zod";
import { ENFORCEMENTS } from "../env.ts";
import type { QuotaLedger } from "./ledger.ts";

/**
 * The ledger's entry methods as they are declared. The platform's stub type distributes over union results and no longer infers;
 * what arrives is the same plain data.
 */
export type LedgerMethods = Omit<QuotaLedger, keyof DurableObject>;

const calls = z.int();
const status = z.looseObject({
  date: z.iso.date(),
  daily_limit: calls,
  safety_limit: calls,
  used: calls,
  reserved: calls.min(0),
  remaining: calls.min(0),
  percentage_used: calls,
  reset_at: z.string(),
  can_make_calls: z.boolean(),
  enforcement: z.enum(ENFORCEMENTS),
  callers: z.array(z.looseObject({ caller: z.string(), used: calls })),
  forecast: z.looseObject({ calls_per_hour: z.number() }),
  background: z.looseObject({ floor: calls, remaining: calls }),
  upstream: z.looseObject({ spent: calls, untracked: calls }).nullable(),
});

const waiting = { callsNeeded: calls.min(0), available: calls.min(0), waitMs: z.number().min(0) };
/** A rule that is not known here could not be told to anybody. */
const refusal = z.union([
  z.looseObject({ refusedBy: z.enum(["daily", "floor", "hold", "projects-hold", "pace", "price"]), ...waiting }),
  z.looseObject({
    refusedBy: z.literal("share"),
    share: z.looseObject({ calls_per_day: calls, used: calls, reserved: calls }),
    ...waiting,
  }),
]);
const reservation = z.looseObject({
  id: z.string(),
  calls: calls.min(0),
  expiresAt: z.number(),
  startAt: z.number(),
  decidedAt: z.number(),
  probe: z.boolean(),
});

const result = <Name extends string>(name: Name) => z.literal(name);
const said = { detail: z.string() };
const conflict = z.looseObject({ result: result("conflict"), ...said });
const impossible = z.looseObject({ result: result("impossible"), ...said });
const unknown = z.looseObject({ result: result("unknown") });
const committed = z.looseObject({ result: result("committed"), charged: calls.min(0), late: z.boolean(), status });

/** Nothing was counted yet: whoever asked gives it its beginning. */
const isEmpty = (answer: unknown): boolean => typeof answer === "object" && answer !== null && Reflect.get(answer, "empty") === true;
const days = z.array(z.looseObject({ date: z.iso.date(), used: calls }));

const ANSWERS = {
  reserve: z.discriminatedUnion("result", [
    z.looseObject({ result: result("granted"), reservation, status }),
    z.looseObject({ result: result("refused"), refusal, status }),
    conflict,
    impossible,
  ]),
  commit: z.discriminatedUnion("result", [committed, unknown, impossible]),
  add: z.discriminatedUnion("result", [committed, unknown, impossible]),
  release: z.discriminatedUnion("result", [z.looseObject({ result: result("released"), calls: calls.min(0), status }), unknown, conflict]),
  abandon: z.looseObject({ abandoned: z.literal(true) }),
  check: z.looseObject({ allowed: z.boolean(), refusal: refusal.nullable(), available: calls.min(0), callsNeeded: calls.min(0), status }),
  status,
  overview: z.looseObject({ status, ledger: z.looseObject({ days, hours: z.array(z.unknown()), tallies: z.array(z.unknown()) }) }),
  callerUse: z.looseObject({ used: calls, reserved: calls }),
  history: z.looseObject({ days, operations: z.array(z.looseObject({ id: z.string(), at: z.string(), action: z.string() })), status }),
  observe: status,
  setUsage: status,
  reset: status,
  changeSettings: z.discriminatedUnion("result", [
    z.looseObject({
      result: result("changed"),
      mirror: z.looseObject({ overrides: z.looseObject({}) }),
      settings: z.looseObject({}),
      status,
    }),
    impossible,
  ]),
  rollOver: z.looseObject({ date: z.iso.date(), rolledOver: z.boolean() }),
} as const satisfies { [Name in Exclude<keyof LedgerMethods, "initialise" | "alarm">]: z.ZodType };

const isAnswered = (name: PropertyKey): name is keyof typeof ANSWERS => Object.hasOwn(ANSWERS, name);

/** The ledger, whose answers are looked at before anybody acts on them. A call throws where its answer cannot be read. */
export function answering(ledger: LedgerMethods): LedgerMethods {
  return new Proxy(ledger, {
    get: (target, name) => {
      const method = Reflect.get(target, name) as (...given: readonly unknown[]) => Promise<unknown>;
      if (!isAnswered(name)) return method;
      return async (...given: readonly unknown[]) => {
        const answer = await Reflect.apply(method, target, given);
        if (isEmpty(answer)) return answer;
        const { success, error } = ANSWERS[name].safeParse(answer);
        if (!success) throw new Error(`The ledger's answer to ${name} cannot be read: ${z.prettifyError(error)}`);
        return answer;
      };
    },
  });
}

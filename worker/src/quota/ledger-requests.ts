/**
 * What other isolates may ask of the ledger. During a deploy, and after a rollback, Workers and the ledger are of different releases:
 *
 * - A field may be added if it may be left out, and if the ledger before, which does not know it, grants no more without it. What must not
 *   be ignored is a method of a new name: a ledger that does not have it fails, and nothing is sent.
 * - A field or a method is taken away one release after the last one that uses it. None changes its meaning.
 * - What arrives is looked at here: a request that this ledger cannot read changes nothing and fails, which is a 503 for whoever asked.
 *
 * The same holds for answers (ledger-answers.ts). No I/O. No clock.
 */
import { z } from "zod";
import { ENFORCEMENTS } from "../env.ts";

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
const id = z.string().min(1);
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
  // A setting that this ledger does not know would be said to be changed.
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

/** Throws where the request cannot be read. */
export function readable<Request extends object>(method: keyof typeof REQUESTS, request: Request): Request {
  const { success, error } = REQUESTS[method].safeParse(request);
  if (!success) throw new Error(`This ledger cannot read what it is asked to ${method}: ${error.issues.map(saidOf).join("; ")}`);
  return request;
}

const saidOf = ({ path, message }: { readonly path: readonly PropertyKey[]; readonly message: string }): string =>
  `${path.join(".")}: ${message}`;

/** The quota's parameters and its history, as the OpenAPI document shows them. */
import { z } from "@hono/zod-openapi";
import { PROVIDER } from "../../deps.ts";
import { digits } from "../../http/paging.ts";
import { EXAMPLE_STATUS, callerUse } from "../schemas.ts";

export const provider = z.enum([PROVIDER]).default(PROVIDER).openapi({ description: "Whose quota. One ledger a provider." });

export const projectId = z.string().regex(/^[\w-]{1,64}$/u, "expected 1 to 64 letters, digits, _ or -");

/** Any label that may stand among the callers, projects' and the ledger's own included: at most `project:` and an id. */
const anyCaller = z.string().regex(/^[\w.:-]{1,72}$/u, "expected 1 to 72 letters, digits or . : _ -");

export const historyQuery = z
  .object({
    provider,
    days: z.preprocess(digits, z.int().min(1).max(400).default(30)).describe("How many UTC days, today included"),
    project_id: projectId.optional().describe("Only what this project spent"),
    caller: anyCaller.optional().describe("Only what this caller spent; not together with project_id").openapi({ example: "enrich.batch" }),
  })
  .refine(({ project_id, caller }) => project_id === undefined || caller === undefined, {
    path: ["caller"],
    message: "expected either project_id or caller, not both",
  });

const NOT_BY_CALLER = "null where one caller was asked for: not kept by caller";

const dayHistory = z.object({
  date: z.string(),
  used: z.int(),
  reserved_expired: z.int().nullable().describe(`Charged because nobody said in time what became of a reservation; ${NOT_BY_CALLER}`),
  refused: z.int().nullable().describe(`Requests refused; ${NOT_BY_CALLER}`),
  would_refuse: z.int().nullable().describe(`Requests granted in observe mode that enforcing would have refused; ${NOT_BY_CALLER}`),
  untracked: z.int().nullable().describe(`Spent by somebody who did not ask us; ${NOT_BY_CALLER}`),
  callers: z.array(callerUse).readonly(),
  hours: z.array(z.object({ hour: z.int(), used: z.int() })).readonly(),
});

const operation = z.object({ at: z.string(), action: z.string(), actor: z.string(), before: z.unknown(), after: z.unknown() });

export const historyAnswer = z
  .object({
    provider: z.string(),
    days: z.array(dayHistory).readonly(),
    operations: z.array(operation).readonly().describe("What operators changed; empty where one caller was asked for"),
  })
  .openapi({
    example: {
      provider: PROVIDER,
      days: [
        {
          date: "2025-12-30",
          used: 8_456,
          reserved_expired: 3,
          refused: 12,
          would_refuse: 0,
          untracked: 56,
          callers: EXAMPLE_STATUS.callers,
          hours: [{ hour: 9, used: 8_400 }],
        },
      ],
      operations: [],
    },
  });

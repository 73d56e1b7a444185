/** The scheduled harvest: what it is to fetch, how it stands, and a run by hand. */
import { createRoute, z } from "@hono/zod-openapi";
import { Problem } from "../../errors.ts";
import { createRouter, invalidFields } from "../../http/index.ts";
import { adminOnly } from "../../http/guards.ts";
import { runHarvest } from "../../library/harvest.ts";
import { sortIsbns } from "../../library/isbn.ts";
import { isoSeconds } from "../../lib/time.ts";
import { authorKey } from "../../store/library/authors.ts";
import { addTargets, harvestOverview } from "../../store/library/harvest.ts";
import type { HarvestRun } from "../../store/library/harvest.ts";
import { ADMIN, COMMON_PROBLEMS, addressable, problems } from "../schemas.ts";

const MAX_TARGETS = 10_000;
const DEFAULT_RUN_SECONDS = 25;
const MAX_RUN_SECONDS = 600;
const RUNS_SHOWN = 20;
const FAILURES_SHOWN = 50;

const targetsBody = z
  .strictObject({
    isbns: z.array(z.string().max(100)).max(MAX_TARGETS).default([]),
    authors: z.array(addressable).max(MAX_TARGETS).default([]),
    priority: z.int().min(0).max(100).default(50).describe("The highest first"),
  })
  .refine(({ isbns, authors }) => isbns.length + authors.length > 0, "expected at least one ISBN or author")
  .openapi({ example: { isbns: ["978-0-14-143951-8"], authors: ["Ursula K. Le Guin"], priority: 80 } });

const postTargets = createRoute({
  method: "post",
  path: "/targets",
  tags: ["Harvest"],
  summary: "Add what the harvest is to fetch",
  description:
    "Up to 10,000 ISBNs and 10,000 authors at once. What waits already keeps the higher priority; what is over becomes due again.",
  security: ADMIN,
  middleware: [adminOnly] as const,
  request: { body: { required: true, content: { "application/json": { schema: targetsBody } } } },
  responses: {
    200: {
      description: "What became of them",
      content: {
        "application/json": {
          schema: z
            .object({
              added: z.int().describe("New targets"),
              merged: z.int().describe("Given twice, or known before"),
              invalid: z.array(z.object({ isbn: z.string(), reason: z.string() })).readonly(),
            })
            .openapi("HarvestTargets"),
        },
      },
    },
    ...problems(...COMMON_PROBLEMS, "invalid_request", "payload_too_large", "unsupported_media_type", "storage_unavailable"),
  },
});

const run = z
  .object({
    id: z.string(),
    started_at: z.string(),
    ended_at: z.string().nullable(),
    targets: z.int().describe("Done or given up"),
    calls: z.int(),
    found: z.int().describe("Books"),
    failed: z.int().describe("Given up"),
    stopped: z
      .enum([
        "nothing_due",
        "enough_for_one_run",
        "interrupted",
        "out_of_time",
        "quota_exhausted",
        "below_floor",
        "pace",
        "provider_failing",
        "quota_unavailable",
        "error",
      ])
      .nullable()
      .describe("Why it ended; null while it runs"),
    detail: z.string().nullable(),
  })
  .openapi("HarvestRun");

function runJson({ started_at, ended_at, ...rest }: HarvestRun) {
  return { ...rest, started_at: isoSeconds(started_at), ended_at: ended_at === null ? null : isoSeconds(ended_at) };
}

const targetCount = z.object({
  kind: z.enum(["isbn", "author"]),
  state: z.enum(["due", "done", "failed"]),
  targets: z.int(),
  next_due_at: z.string().nullable(),
});

const getStatus = createRoute({
  method: "get",
  path: "/status",
  tags: ["Harvest"],
  summary: "What waits, what was done, and why the latest runs stopped",
  security: ADMIN,
  middleware: [adminOnly] as const,
  responses: {
    200: {
      description: "How the harvest stands",
      content: {
        "application/json": {
          schema: z
            .object({
              targets: z.array(targetCount).readonly(),
              runs: z.array(run).readonly().describe("The latest first"),
              failed: z
                .array(
                  z.object({
                    kind: z.enum(["isbn", "author"]),
                    name: z.string(),
                    tries: z.int(),
                    reason: z.string().nullable(),
                    at: z.string(),
                  }),
                )
                .readonly()
                .describe("Given up, the latest first"),
            })
            .openapi("HarvestStatus"),
        },
      },
    },
    ...problems(...COMMON_PROBLEMS, "storage_unavailable"),
  },
});

const runBody = z
  .strictObject({ max_seconds: z.int().min(1).max(MAX_RUN_SECONDS).default(DEFAULT_RUN_SECONDS) })
  .openapi({ example: { max_seconds: 25 } });

const postRun = createRoute({
  method: "post",
  path: "/run",
  tags: ["Harvest"],
  summary: "Run the harvest now, and wait for it",
  description: "As the cron does every 30 minutes. Two runs at once do each target once.",
  security: ADMIN,
  middleware: [adminOnly] as const,
  request: {
    body: {
      content: {
        "application/json": {
          schema: runBody,
        },
      },
    },
  },
  responses: {
    200: { description: "The run, with why it stopped", content: { "application/json": { schema: run } } },
    ...problems(...COMMON_PROBLEMS, "invalid_request", "payload_too_large", "unsupported_media_type", "storage_unavailable"),
  },
});

export const harvestRoutes = createRouter();

harvestRoutes.openapi(postTargets, async (c) => {
  const { isbns, authors, priority } = c.req.valid("json");
  const { valid, invalid } = sortIsbns(isbns);
  const names = new Map(authors.map((name) => [authorKey(name), name]));
  const targets = [
    ...valid.map((isbn) => ({ kind: "isbn" as const, target_key: isbn, name: isbn })),
    ...[...names].map(([key, name]) => ({ kind: "author" as const, target_key: key, name })),
  ];
  if (targets.length === 0) throw invalidFields(invalid.map(({ isbn, reason }) => ({ path: "isbns", message: reason, value: isbn })));
  const { db, clock } = c.get("deps");
  const added = await addTargets(db, targets, priority, clock());
  return c.json({ added, merged: isbns.length + authors.length - invalid.length - added, invalid }, 200);
});

harvestRoutes.openapi(getStatus, async (c) => {
  const { counts, runs, failed } = await harvestOverview(c.get("deps").db, RUNS_SHOWN, FAILURES_SHOWN);
  const targets = counts.map(({ next_due_at, ...rest }) => ({
    ...rest,
    next_due_at: next_due_at === null ? null : isoSeconds(next_due_at),
  }));
  const givenUp = failed.map(({ updated_at, ...rest }) => ({ ...rest, at: isoSeconds(updated_at) }));
  return c.json({ targets, runs: runs.map(runJson), failed: givenUp }, 200);
});

harvestRoutes.openapi(postRun, async (c) => {
  const deps = c.get("deps");
  // Without a body nothing was filled in yet.
  const { max_seconds: seconds } = runBody.parse(c.req.valid("json"));
  const done = await runHarvest(deps, { id: `api-${crypto.randomUUID()}`, deadline: deps.clock() + seconds * 1_000 });
  if (!done) throw new Problem("internal_error", "The run could not be begun.");
  return c.json(runJson(done), 200);
});

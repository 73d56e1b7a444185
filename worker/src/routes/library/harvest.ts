/** The scheduled harvest: targets, status, and a manual run. */
import { z } from "@hono/zod-openapi";
import { Problem, invalidFields } from "../../errors.ts";
import { addressable } from "../../http/fields.ts";
import { createRouter } from "../../http/index.ts";
import { runHarvest } from "../../library/harvest.ts";
import { sortIsbns } from "../../library/isbn.ts";
import { isoOrNull, isoSeconds } from "../../lib/time.ts";
import { authorKey } from "../../store/library/authors.ts";
import { addTargets, harvestOverview } from "../../store/library/harvest.ts";
import type { HarvestRun } from "../../store/library/harvest.ts";
import { admin, answer, jsonBody, operations, optionalBody } from "../operation.ts";

export const harvestRoutes = createRouter();
const operation = operations(harvestRoutes, "Harvest", admin);

const MAX_TARGETS = 10_000;
const DEFAULT_RUN_SECONDS = 25;
const MAX_RUN_SECONDS = 600;
const RUNS_SHOWN = 20;
const FAILURES_SHOWN = 50;

const targetsBody = z
  .strictObject({
    isbns: z.array(z.string().max(100)).max(MAX_TARGETS).default([]),
    authors: z.array(addressable).max(MAX_TARGETS).default([]),
    priority: z.int().min(0).max(100).default(50).describe("Highest first"),
  })
  .refine(({ isbns, authors }) => isbns.length + authors.length > 0, "must have at least one ISBN or author")
  .openapi({ example: { isbns: ["978-0-14-143951-8"], authors: ["Ursula K. Le Guin"], priority: 80 } });

operation("post", "/targets", {
  summary: "Add targets to the harvest",
  description:
    "Accepts up to 10,000 ISBNs and 10,000 authors. A waiting target keeps the higher priority. A finished target becomes due again.",
  request: { body: jsonBody(targetsBody) },
  responses: {
    200: answer(
      "Result for the targets",
      z
        .object({
          added: z.int().describe("New targets"),
          merged: z.int().describe("Repeated or existing targets"),
          invalid: z.array(z.object({ isbn: z.string(), reason: z.string() })).readonly(),
        })
        .openapi("HarvestTargets"),
    ),
  },
}).handle(async (c) => {
  const { isbns, authors, priority } = c.req.valid("json");
  const { valid, invalid } = sortIsbns(isbns);
  const names = new Map(authors.map((name) => [authorKey(name), name]));
  const targets = [
    ...valid.map((isbn) => ({ kind: "isbn" as const, target_key: isbn, name: isbn })),
    ...[...names].map(([key, name]) => ({ kind: "author" as const, target_key: key, name })),
  ];
  if (targets.length === 0) throw invalidFields(invalid.map(({ isbn, reason }) => ({ path: "isbns", message: reason, value: isbn })));
  const { catalog, clock } = c.get("deps");
  const added = await addTargets(catalog, targets, priority, clock());
  return c.json({ added, merged: isbns.length + authors.length - invalid.length - added, invalid }, 200);
});

const run = z
  .object({
    id: z.string(),
    started_at: z.string(),
    ended_at: z.string().nullable(),
    targets: z.int().describe("Done or failed"),
    calls: z.int(),
    found: z.int().describe("Books"),
    failed: z.int().describe("Targets that failed too often and are not retried"),
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
        "catalog_full",
        "error",
      ])
      .nullable()
      .describe("Reason why the run ended. null: running"),
    detail: z.string().nullable(),
  })
  .openapi("HarvestRun");

function runJson({ started_at, ended_at, ...rest }: HarvestRun) {
  return { ...rest, started_at: isoSeconds(started_at), ended_at: isoOrNull(ended_at) };
}

const targetCount = z.object({
  kind: z.enum(["isbn", "author"]),
  state: z.enum(["due", "done", "failed"]),
  targets: z.int(),
  next_due_at: z.string().nullable(),
});

operation("get", "/status", {
  summary: "Get the status of the harvest",
  responses: {
    200: answer(
      "Queue and latest runs",
      z
        .object({
          targets: z.array(targetCount).readonly(),
          runs: z.array(run).readonly().describe("Newest first"),
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
            .describe("Targets that failed too often and are not retried, newest first"),
        })
        .openapi("HarvestStatus"),
    ),
  },
}).handle(async (c) => {
  const { counts, runs, failed } = await harvestOverview(c.get("deps"), RUNS_SHOWN, FAILURES_SHOWN);
  const targets = counts.map(({ next_due_at, ...rest }) => ({ ...rest, next_due_at: isoOrNull(next_due_at) }));
  const givenUp = failed.map(({ updated_at, ...rest }) => ({ ...rest, at: isoSeconds(updated_at) }));
  return c.json({ targets, runs: runs.map(runJson), failed: givenUp }, 200);
});

const runBody = z
  .strictObject({ max_seconds: z.int().min(1).max(MAX_RUN_SECONDS).default(DEFAULT_RUN_SECONDS) })
  .openapi({ example: { max_seconds: 25 } });

operation("post", "/run", {
  summary: "Run the harvest now and wait for the result",
  description: "Like the cron every 30 minutes. Concurrent runs process each target once.",
  request: { body: optionalBody(runBody) },
  responses: { 200: answer("The run, with the reason why it ended", run) },
}).handle(async (c) => {
  const deps = c.get("deps");
  // Without a body, the defaults are not applied yet.
  const { max_seconds: seconds } = runBody.parse(c.req.valid("json"));
  const done = await runHarvest(deps, { id: `api-${crypto.randomUUID()}`, deadline: deps.clock() + seconds * 1_000 });
  if (!done) throw new Problem("internal_error", "The run could not start.");
  return c.json(runJson(done), 200);
});

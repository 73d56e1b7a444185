/** What other services report as used. */
import { z } from "@hono/zod-openapi";
import { createRouter } from "../../http/index.ts";
import { EVENT_RESULTS, reportUsage } from "../../tenants/limits/metering.ts";
import type { EventResult } from "../../tenants/limits/metering.ts";
import { usageEventSchema } from "../../tenants/limits/usage-event.ts";
import { admin, answer, jsonBody, operations } from "../operation.ts";

export const usageEventRoutes = createRouter();
const operation = operations(usageEventRoutes, "Usage", admin);

const MAX_EVENTS = 1_000;

/** Described in full, and read one by one: an event that is wrong must not refuse the others. */
const { $schema: _, ...eventAsJsonSchema } = z.toJSONSchema(usageEventSchema, { io: "input" });

const event = z.unknown().openapi(eventAsJsonSchema as object);

const eventsBody = z.strictObject({ events: z.array(event).min(1).max(MAX_EVENTS) }).openapi({
  example: {
    events: [
      { id: "upload-7f9c1c9e", project_id: "proj_books", type: "storage_uploads_per_day", quantity: 3, source: "storage" },
      { id: "level-0412", project_id: "proj_books", type: "realtime_connections", mode: "set", quantity: 41, source: "realtime" },
    ],
  },
});

const events = z.int();

const report = z
  .object({
    received: events,
    counted: events,
    late: events.describe("Counted as an adjustment: the day or billing period was over, and its total never changes any more"),
    duplicates: events.describe("Counted before, once"),
    conflicts: events.describe("Another event has the id, and stays counted"),
    refused: events.describe("Wrong by itself, or for a project that is not there"),
    results: z
      .array(
        z.object({
          index: z.int().describe("Its place in the report"),
          id: z.string().nullable().describe("null where it has none that could be one"),
          status: z.union([z.literal(200), z.literal(400), z.literal(404), z.literal(409), z.literal(422)]),
          result: z.enum(EVENT_RESULTS),
          error: z.string().optional().describe("The field, what was expected, and what was given"),
        }),
      )
      .readonly()
      .describe("In the order given"),
  })
  .openapi("UsageReport");

operation("post", "/events", {
  summary: "Report what projects have used",
  description: [
    "Each event is judged by itself: what is wrong with one stands in its row, and the others count. The same event counts once, whoever sends",
    "it and however often, so that a report without an answer can simply be sent again; another event under the same id is a conflict. Ids are",
    "remembered for 33 days. The body may have 4 MiB.",
  ].join(" "),
  request: { body: jsonBody(eventsBody) },
  responses: { 200: answer("What became of each event", report) },
  problems: ["forbidden"],
}).handle(async (c) => {
  const results = await reportUsage(c.get("deps"), c.req.valid("json").events);
  const having = (result: EventResult["result"]): number => results.filter((each) => each.result === result).length;
  return c.json(
    {
      received: results.length,
      counted: having("counted"),
      late: having("late"),
      duplicates: having("duplicate"),
      conflicts: having("conflict"),
      refused: having("refused"),
      results,
    },
    200,
  );
});

/** Usage events reported by other services. */
import { z } from "@hono/zod-openapi";
import { createRouter } from "../../http/index.ts";
import { EVENT_RESULTS, reportUsage } from "../../tenants/limits/metering.ts";
import type { EventResult } from "../../tenants/limits/metering.ts";
import { usageEventSchema } from "../../tenants/limits/usage-event.ts";
import { admin, answer, jsonBody, operations } from "../operation.ts";

export const usageEventRoutes = createRouter();
const operation = operations(usageEventRoutes, "Usage", admin);

const MAX_EVENTS = 1_000;

/** Fully described, but parsed one by one, because an invalid event must not refuse the others. */
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
    late: events.describe("Counted as an adjustment, because the day or billing period has ended and its total is final"),
    duplicates: events.describe("Already counted"),
    conflicts: events.describe("A different event has the id and stays counted"),
    refused: events.describe("Invalid, or for an unknown project"),
    results: z
      .array(
        z.object({
          index: z.int().describe("Position in the request"),
          id: z.string().nullable().describe("null: missing or invalid"),
          status: z.union([z.literal(200), z.literal(400), z.literal(404), z.literal(409), z.literal(422)]),
          result: z.enum(EVENT_RESULTS),
          error: z.string().optional().describe("The field, the accepted values and the given value"),
        }),
      )
      .readonly()
      .describe("In the order given"),
  })
  .openapi("UsageReport");

operation("post", "/events", {
  summary: "Report usage of projects",
  description: [
    "Each event has its own result. Invalid ones are refused, and the others count. An event counts once, so you can send a report again if you",
    "got no response. A different event with the same id is a conflict. Ids are remembered for 33 days. The body may have 4 MiB.",
  ].join(" "),
  request: { body: jsonBody(eventsBody) },
  responses: { 200: answer("Result of each event", report) },
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

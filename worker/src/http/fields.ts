/** Fields of requests and responses, shared by the API and the dashboard. */
import { z } from "@hono/zod-openapi";

const NAME_CHARACTERS = 200;
const NOTE_CHARACTERS = 500;

/** Visible text of one line. */
export const line = (most: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(most)
    .refine((text) => text === "" || canBeSeen(text), "must be one line of visible text without broken surrogates");

const canBeSeen = (text: string): boolean => text.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text) && /[^\p{C}\p{Z}\p{M}]/u.test(text);

export const name = line(NAME_CHARACTERS);
export const note = line(NOTE_CHARACTERS);

/** Text for a path of the provider, which accepts at most 150 characters. */
export const addressable = z
  .string()
  .trim()
  .min(1)
  .max(150)
  .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), "must not contain control characters or broken surrogates")
  .refine((text) => !/^\.{1,2}$/u.test(text), "must not be . or ..");

/** Query parameter of lists. */
export const searchText = z.string().max(200).optional().describe("Part of the name or the id. Case of A to Z does not matter");

export const identifier = z.string().regex(/^[\w-]{1,64}$/u, "must be 1 to 64 letters, digits, _ or -");
export const projectId = identifier.describe("Of a project").openapi({ example: "proj_reading_list" });
export const webhookId = z
  .string()
  .regex(/^wh_[0-9A-Za-z]{20}$/u, "must be wh_ and 20 letters and digits")
  .describe("Of a webhook")
  .openapi({ example: "wh_3kTMd9Qw8ZbXv5RnLcY2" });

/** Path parameters. */
export const ofProject = z.object({ id: projectId });

/** Optional. Each use describes its meaning. */
export const idempotencyKey = z.string().min(1).max(200).optional();

/** Time in a response. */
export const time = z.string().describe("ISO 8601 in UTC, without milliseconds");

/** Time in a request. */
export const requestTime = z.iso.datetime({ error: "must be an ISO 8601 time in UTC, such as 2025-12-30T23:59:58Z" });

/** Time in whole seconds, like in all responses. `requestTime` has already rejected text that is not a time. */
export const wholeSecond = requestTime.refine((text) => !(Math.abs(Date.parse(text) % 1_000) > 0), "must be a whole second");

/** For a schema with a name. With `.nullable()`, the document would not accept null. */
export const orNull = <Schema extends z.ZodType>(schema: Schema) => z.union([schema, z.null()]);

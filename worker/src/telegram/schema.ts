/** Telegram's answers. No I/O. No clock. */
import { z } from "zod";
import { parsedJson } from "../lib/read-text.ts";

const answer = z
  .discriminatedUnion("ok", [
    z.object({ ok: z.literal(true), result: z.unknown() }),
    z.object({
      ok: z.literal(false),
      description: z.string().catch("without a reason"),
      parameters: z
        .object({
          /** Seconds. */
          retry_after: z.number().min(0).optional().catch(undefined),
          /** The chat has become a supergroup, with this id. */
          migrate_to_chat_id: z.number().optional().catch(undefined),
        })
        .catch({})
        .default({}),
    }),
  ])
  .catch({ ok: false, description: "in no form of Telegram's", parameters: {} });

/** Reads the body of a response. null: the body is incomplete. */
export const readAnswer = (text: string | null): z.output<typeof answer> => answer.parse(parsedJson(text));

const sent = z.object({ document: z.object({ file_id: z.string() }) });
const file = z.object({ file_path: z.string().regex(/^[\w./-]+$/u) });

export const sentFileId = (result: unknown): string | null => sent.safeParse(result).data?.document.file_id ?? null;
export const filePath = (result: unknown): string | null => file.safeParse(result).data?.file_path ?? null;

/** Telegram's answers. No I/O. No clock. */
import { z } from "zod";

export type TelegramAnswer =
  | { readonly ok: true; readonly result: unknown }
  | {
      readonly ok: false;
      readonly description: string;
      /** Seconds. */
      readonly retryAfter: number | null;
      /** The chat has become a supergroup, with this id. */
      readonly migrateTo: string | null;
    };

const good = z.object({ ok: z.literal(true), result: z.unknown() });
const bad = z.object({
  ok: z.literal(false),
  description: z.string().catch("without a reason"),
  parameters: z
    .object({ retry_after: z.number().min(0).optional().catch(undefined), migrate_to_chat_id: z.number().optional().catch(undefined) })
    .catch({})
    .default({}),
});

/** Of the body as text; null: it broke off. */
export function readAnswer(text: string | null): TelegramAnswer {
  const json = parsed(text);
  const right = good.safeParse(json);
  if (right.success) return { ok: true, result: right.data.result };
  const wrong = bad.safeParse(json);
  if (!wrong.success) return { ok: false, description: "in no form of Telegram's", retryAfter: null, migrateTo: null };
  const { description, parameters } = wrong.data;
  const { retry_after: retryAfter = null, migrate_to_chat_id: chat } = parameters;
  return {
    ok: false,
    description,
    retryAfter,
    migrateTo: chat === undefined ? null : String(chat),
  };
}

function parsed(text: string | null): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return null;
  }
}

const sent = z.object({ document: z.object({ file_id: z.string() }) });
const file = z.object({ file_path: z.string().regex(/^[\w./-]+$/u) });

export const sentFileId = (result: unknown): string | null => sent.safeParse(result).data?.document.file_id ?? null;
export const filePath = (result: unknown): string | null => file.safeParse(result).data?.file_path ?? null;

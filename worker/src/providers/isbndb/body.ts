/** What bodies say, that may be garbage. */
import { z } from "zod";

const MAX_MESSAGE_CHARACTERS = 300;

/** Undefined for what is no JSON. */
export function parseJson(text: string | null): unknown {
  if (text === null) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const word = z.string().trim().min(1).optional().catch(undefined);
const refusal = z.object({ message: word, errorMessage: word, error_message: word });

/** What a refusal says: three spellings of one field over the years, or bare text. `secret` is blotted out should it be quoted. */
export function messageOf(text: string | null, secret: string): string | null {
  const parsed = refusal.safeParse(parseJson(text));
  const said = parsed.success ? (parsed.data.message ?? parsed.data.errorMessage ?? parsed.data.error_message) : bareText(text);
  return said?.replaceAll(secret, "[key]").slice(0, MAX_MESSAGE_CHARACTERS) ?? null;
}

/** A proxy's HTML page may contain any word and decides nothing. */
function bareText(text: string | null): string | undefined {
  const bare = text?.trim() ?? "";
  return bare === "" || /^[<{[]/u.test(bare) || bare.length > MAX_MESSAGE_CHARACTERS ? undefined : bare;
}

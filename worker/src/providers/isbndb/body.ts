/** Parses response bodies, which may be malformed. */
import { z } from "zod";

const MAX_MESSAGE_CHARACTERS = 300;

/** Returns undefined if the text is not JSON. */
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

/** The message of a refusal: three historic spellings of one field, or plain text. A quoted `secret` is redacted. */
export function messageOf(text: string | null, secret: string): string | null {
  const parsed = refusal.safeParse(parseJson(text));
  const message = parsed.success ? (parsed.data.message ?? parsed.data.errorMessage ?? parsed.data.error_message) : bareText(text);
  return message?.replaceAll(secret, "[key]").slice(0, MAX_MESSAGE_CHARACTERS) ?? null;
}

/** Ignores a proxy's HTML page, which may contain any word. */
function bareText(text: string | null): string | undefined {
  const bare = text?.trim() ?? "";
  return bare === "" || /^[<{[]/u.test(bare) || bare.length > MAX_MESSAGE_CHARACTERS ? undefined : bare;
}

// Reading bodies that may be cut off, endless or garbage.
import { z } from "zod";

const MAX_MESSAGE_CHARACTERS = 300;

/**
 * The whole body as text; null if it broke off, exceeds `maxBytes` or `signal` aborted first. Nothing is left unread:
 * an open body would hold one of the six connections.
 */
export async function readText(body: ReadableStream<Uint8Array> | null, maxBytes: number, signal: AbortSignal): Promise<string | null> {
  if (body === null) return "";
  const reader = body.getReader();
  const { promise: aborted, resolve: abort } = Promise.withResolvers<null>();
  const onAbort = (): void => abort(null);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  try {
    for (;;) {
      const read = await Promise.race([reader.read(), aborted]);
      if (read === null) break;
      if (read.done) return text + decoder.decode();
      bytes += read.value.byteLength;
      if (bytes > maxBytes) break;
      text += decoder.decode(read.value, { stream: true });
    }
  } catch {
    // Broken off: the stream is errored already, cancelling it below does nothing.
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  // Not awaited: whoever doesn't deliver may not acknowledge either.
  reader.cancel().catch(() => undefined);
  return null;
}

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

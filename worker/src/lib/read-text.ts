/** Reads bodies that may be cut off, endless or never arrive. */

interface TextStart {
  readonly text: string;
  /** Whether this is the complete body, received in time. */
  readonly complete: boolean;
}

/**
 * The complete body as text. Null if it broke off, exceeds `maxBytes`, or `signal` aborted first. The rest is cancelled, because an open
 * body would occupy one of the six connections.
 */
export async function readText(body: ReadableStream<Uint8Array> | null, maxBytes: number, signal: AbortSignal): Promise<string | null> {
  const { text, complete } = await readStart(body, maxBytes, signal);
  return complete ? text : null;
}

/** The first `maxBytes` of a body as text, or the part received before it broke off or `signal` aborted. The rest is cancelled. */
export async function readStart(body: ReadableStream<Uint8Array> | null, maxBytes: number, signal: AbortSignal): Promise<TextStart> {
  if (body === null) return { text: "", complete: true };
  const reader = body.getReader();
  const { promise: aborted, resolve: abort } = Promise.withResolvers<null>();
  const onAbort = (): void => abort(null);
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  const decoder = new TextDecoder();
  let text = "";
  let left = maxBytes;
  try {
    for (;;) {
      const read = await Promise.race([reader.read(), aborted]);
      if (read === null) break;
      if (read.done) return { text: text + decoder.decode(), complete: true };
      text += decoder.decode(read.value.subarray(0, left), { stream: true });
      left -= read.value.byteLength;
      if (left < 0) break;
    }
  } catch {
    // The stream broke off and is errored already. Cancelling it below does nothing.
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  // Not awaited: a sender that does not deliver may not acknowledge either.
  reader.cancel().catch(() => undefined);
  return { text, complete: false };
}

/** The value of a JSON body. Undefined for other text, and for an incomplete body. */
export function parsedJson(text: string | null): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
}

/** Reading bodies that may be cut off, endless or never come. */

interface Beginning {
  readonly text: string;
  /** Whether that is all: it ended by itself, and in time. */
  readonly whole: boolean;
}

/**
 * The whole body as text; null if it broke off, exceeds `maxBytes` or `signal` aborted first. Nothing is left unread:
 * an open body would hold one of the six connections.
 */
export async function readText(body: ReadableStream<Uint8Array> | null, maxBytes: number, signal: AbortSignal): Promise<string | null> {
  const { text, whole } = await readBeginning(body, maxBytes, signal);
  return whole ? text : null;
}

/** The first `maxBytes` of a body as text, or what came of it before it broke off or `signal` aborted. The rest is not waited for. */
export async function readBeginning(body: ReadableStream<Uint8Array> | null, maxBytes: number, signal: AbortSignal): Promise<Beginning> {
  if (body === null) return { text: "", whole: true };
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
      if (read.done) return { text: text + decoder.decode(), whole: true };
      text += decoder.decode(read.value.subarray(0, left), { stream: true });
      left -= read.value.byteLength;
      if (left < 0) break;
    }
  } catch {
    // Broken off: the stream is errored already, cancelling it below does nothing.
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  // Not awaited: whoever doesn't deliver may not acknowledge either.
  reader.cancel().catch(() => undefined);
  return { text, whole: false };
}

/** The value of a body that should be JSON; undefined for anything else, and for one that broke off. */
export function parsedJson(text: string | null): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return undefined;
  }
}

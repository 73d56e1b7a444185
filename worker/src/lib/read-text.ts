/** Reading bodies that may be cut off, endless or never come. */

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

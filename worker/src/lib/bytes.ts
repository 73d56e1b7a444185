/** Bytes, their hashes, and gzip. */

/** SHA-256 in hex. Text is encoded as UTF-8. */
export async function sha256Hex(of: Uint8Array<ArrayBuffer> | string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", typeof of === "string" ? bytesOf(of) : of);
  return new Uint8Array(digest).toHex();
}

/** Formats a hash in hex as RFC 9530 requires. */
export const digestField = (sha256: string): string => `sha-256=:${Uint8Array.fromHex(sha256).toBase64()}:`;

/** UTF-8. */
export const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(new TextEncoder().encode(text));

async function through(bytes: Uint8Array<ArrayBuffer>, transform: ReadableWritablePair<Uint8Array, BufferSource>): Promise<ArrayBuffer> {
  return new Response(new Blob([bytes]).stream().pipeThrough(transform)).arrayBuffer();
}

/** Compresses text to one gzip member. Concatenated members form one gzip file. The same text gives the same bytes. */
export async function gzip(text: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await through(bytesOf(text), new CompressionStream("gzip")));
}

/** The text of one gzip member. Throws if it is malformed or not UTF-8. */
export async function gunzip(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(await through(bytes, new DecompressionStream("gzip")));
}

/** Reads a complete stream of limited length. Throws if it is longer or breaks off. */
export async function readBytes(stream: ReadableStream<Uint8Array>, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += chunk.byteLength;
    if (length > maxBytes) throw new Error(`The stream has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

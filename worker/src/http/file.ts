/** A file as an answer, to be kept. */
import { digestField } from "../lib/bytes.ts";
import type { AppContext } from "./index.ts";

interface SentFile {
  readonly name: string;
  readonly bytes: number;
  /** In hex. */
  readonly sha256: string;
  readonly body: ReadableStream<Uint8Array>;
}

/** A length that is known is sent as such; too few bytes then end the connection, not the file. */
export function sendFile(c: AppContext, { name, bytes, sha256, body }: SentFile, type: string) {
  const file = new FixedLengthStream(bytes);
  c.executionCtx.waitUntil(body.pipeTo(file.writable).catch(() => undefined));
  return c.body(file.readable, 200, {
    "Content-Type": type,
    "Content-Length": String(bytes),
    "Content-Disposition": `attachment; filename="${name}"`,
    "Repr-Digest": digestField(sha256),
    "Cache-Control": "private, no-store, no-transform",
  });
}

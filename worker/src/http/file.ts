/** A file as a download. */
import { digestField } from "../lib/bytes.ts";
import type { AppContext } from "./index.ts";

interface SentFile {
  readonly name: string;
  readonly bytes: number;
  /** In hex. */
  readonly sha256: string;
  readonly body: ReadableStream<Uint8Array>;
}

/** Sends the length, so that missing bytes break the connection instead of shortening the file. */
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

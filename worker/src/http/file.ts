/** A file as a response: all of it, or the requested range of bytes. */
import { digestField } from "../lib/bytes.ts";
import type { AppContext } from "./index.ts";
import { isKnown, rangeOf } from "./range.ts";
import type { ByteRange } from "./range.ts";

interface SentFile {
  readonly name: string;
  readonly bytes: number;
  /** Hash of the whole file, in hex. */
  readonly sha256: string;
  readonly body: (range: ByteRange) => ReadableStream<Uint8Array>;
}

/** Sends the length, so that missing bytes break the connection instead of shortening the file. */
export function sendFile(c: AppContext, { name, bytes, sha256, body }: SentFile, type: string) {
  const etag = `"${sha256}"`;
  const headers = { ETag: etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-store, no-transform" };
  if (isKnown(c.req.header("if-none-match"), etag)) return c.body(null, 304, headers);
  const requested = rangeOf({ range: c.req.header("range"), ifRange: c.req.header("if-range"), etag, bytes });
  if (requested === "unsatisfiable") {
    const rest = { "Content-Range": `bytes */${bytes}`, "Content-Type": "application/problem+json" };
    return c.body(JSON.stringify(beyondEnd(bytes)), 416, { ...headers, ...rest });
  }
  const range = requested ?? { from: 0, to: bytes };
  const file = new FixedLengthStream(range.to - range.from);
  c.executionCtx.waitUntil(
    body(range)
      .pipeTo(file.writable)
      .catch(() => undefined),
  );
  return c.body(file.readable, requested === null ? 200 : 206, {
    ...headers,
    ...(requested === null ? {} : { "Content-Range": `bytes ${range.from}-${range.to - 1}/${bytes}` }),
    "Content-Type": type,
    "Content-Length": String(range.to - range.from),
    "Content-Disposition": `attachment; filename="${name}"`,
    "Repr-Digest": digestField(sha256),
  });
}

function beyondEnd(bytes: number) {
  const detail = `\`Range\` begins after the end of the file, which has ${bytes} bytes.`;
  const code = "invalid_request";
  return { type: "about:blank", title: "Range Not Satisfiable", status: 416, detail, code, message: detail, error: code };
}

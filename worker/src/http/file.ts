/** A file as a response: all of it, or the requested range of bytes. */
import { Problem } from "../errors.ts";
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

/**
 * Sends the length, so that missing bytes break the connection instead of shortening the file. Throws `range_not_satisfiable` for a range
 * after the end of the file.
 */
export function sendFile(c: AppContext, { name, bytes, sha256, body }: SentFile, type: string) {
  const etag = `"${sha256}"`;
  const headers = { ETag: etag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-store, no-transform" };
  if (isKnown(c.req.header("if-none-match"), etag)) return c.body(null, 304, headers);
  const requested = rangeOf({ range: c.req.header("range"), ifRange: c.req.header("if-range"), etag, bytes });
  if (requested === "unsatisfiable") throw beyondEnd(c.req.header("range"), bytes, headers);
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

function beyondEnd(range: string | undefined, bytes: number, headers: Readonly<Record<string, string>>): Problem {
  const detail = `\`Range\` must begin before byte ${bytes}, the end of the file (got ${range}). If you already have ${bytes} bytes, your download is complete.`;
  return new Problem("range_not_satisfiable", detail, { headers: { ...headers, "Content-Range": `bytes */${bytes}` } });
}

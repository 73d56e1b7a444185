/** The range of a file's bytes that a request selects (RFC 9110, single ranges only). No I/O. No clock. */

/** `from` is inclusive, `to` is exclusive. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

interface RangeRequest {
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly etag: string;
  readonly bytes: number;
}

/** Null: the whole file, also for several ranges, other units and an `If-Range` of another file. */
export function rangeOf({ range, ifRange, etag, bytes }: RangeRequest): ByteRange | "unsatisfiable" | null {
  const [, first = "", last = ""] = /^bytes=[ \t]*(\d{0,15})-(\d{0,15})[ \t]*$/iu.exec(range ?? "") ?? [];
  if ((first === "" && last === "") || (ifRange !== undefined && ifRange !== etag)) return null;
  if (first === "") {
    const count = Math.min(Number(last), bytes);
    return count === 0 ? "unsatisfiable" : { from: bytes - count, to: bytes };
  }
  const from = Number(first);
  const to = last === "" ? bytes : Math.min(Number(last) + 1, bytes);
  if (last !== "" && Number(last) < from) return null;
  return from < bytes ? { from, to } : "unsatisfiable";
}

/** Whether the client already has this file. */
export const isKnown = (ifNoneMatch: string | undefined, etag: string): boolean =>
  (ifNoneMatch ?? "").split(",").some((each) => ["*", etag, `W/${etag}`].includes(each.trim()));

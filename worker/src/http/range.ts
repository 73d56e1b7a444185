/** Which bytes of a file a request asks for: RFC 9110, one range. No I/O. No clock. */

/** The first byte and the one behind the last. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

interface Asked {
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly etag: string;
  readonly bytes: number;
}

/** Null: all of it. Several ranges, other units and ranges of another file are answered with all of it, too. */
export function rangeOf({ range, ifRange, etag, bytes }: Asked): ByteRange | "unsatisfiable" | null {
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

/** Whether a request has this file already. */
export const isKnown = (ifNoneMatch: string | undefined, etag: string): boolean =>
  (ifNoneMatch ?? "").split(",").some((each) => ["*", etag, `W/${etag}`].includes(each.trim()));

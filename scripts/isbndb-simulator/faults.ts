/** Faults on demand: their schema, and the fault that a request meets. No I/O. */
import { z } from "zod";
import { whole } from "./input.ts";

/** Faults without further fields. */
const PLAIN_KINDS = [
  /** Daily quota used up, independent of the count. Not billed. */
  "daily_quota",
  /** Daily quota used up with the older status 403. Not billed. */
  "daily_403",
  /** Rate limit exceeded. Not billed. */
  "minute_quota",
  /** 403 about plan or host. Billed. */
  "wrong_plan",
  "malformed_json",
  /** A complete HTTP message with incomplete JSON. */
  "cut_off_json",
  /** The correct response without `ratelimit` and `ratelimit-policy`. */
  "missing_headers",
  /** 500, as for a response over about 6 MB. Billed. */
  "too_large",
  /** The headers show the count from before this request. */
  "stale_count",
  /** Billed, then the connection breaks within the body. */
  "reset_connection",
] as const;

/** Billed with the correct response after `hang_ms`, or not counted with 504 after `hang_ms`. */
const HANGING_KINDS = ["hang_after_billing", "hang_before_billing"] as const;

export const FAULT_KINDS = ["status", ...HANGING_KINDS, ...PLAIN_KINDS] as const;

const headers = z.record(z.string(), z.string({ error: "a header's value as text" }), { error: 'headers such as {"retry-after": "2"}' });

const common = {
  /** Prefix of the path and query, encoded or not. Without it the fault applies to every path. */
  path: z
    .string({ error: 'the beginning of a path such as "/author/"' })
    .startsWith("/", { error: 'a path that begins with "/"' })
    .optional(),
  method: z.enum(["GET", "POST"], { error: '"GET" or "POST"' }).optional(),
  /** Number of matching requests before the fault. */
  after: whole(0, 1_000_000).default(0),
  /** Number of affected requests. 0: all. */
  times: whole(0, 1_000_000).default(1),
  /** Headers that are added or replaced. */
  headers: headers.optional(),
};

export const faultSchema = z.discriminatedUnion(
  "kind",
  [
    /** Billed with this status. `body` can be any value. Text is sent unchanged. */
    z.strictObject({ kind: z.literal("status"), ...common, status: whole(200, 599), body: z.unknown().optional() }),
    z.strictObject({ kind: z.enum(HANGING_KINDS), ...common, hang_ms: whole(0, 600_000).default(30_000) }),
    z.strictObject({ kind: z.enum(PLAIN_KINDS), ...common }),
  ],
  { error: `one of ${FAULT_KINDS.join(", ")}` },
);

export type Fault = z.infer<typeof faultSchema>;

/** A fault and its progress. */
export interface ListedFault {
  id: number;
  fault: Fault;
  /** Number of matching requests so far, affected or not. */
  matched: number;
}

export interface Arrival {
  method: string;
  /** Path and query as sent. */
  path: string;
}

const decoded = (path: string): string => {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
};

const matches = ({ path, method }: Fault, arrival: Arrival): boolean =>
  (method === undefined || method === arrival.method) &&
  (path === undefined || arrival.path.startsWith(path) || decoded(arrival.path).startsWith(path));

interface Match {
  /** The oldest due fault. A request meets at most one. */
  fault: Fault | undefined;
  /** Faults whose count changed. */
  counted: ListedFault[];
  /** Ids of finished faults. */
  finished: number[];
}

/** Finds the fault of a request. Matching faults before it count the request, later ones do not. */
export const matchFault = (listed: readonly ListedFault[], arrival: Arrival): Match => {
  const counted: ListedFault[] = [];
  for (const entry of listed) {
    if (!matches(entry.fault, arrival)) continue;
    const matched = entry.matched + 1;
    const { after, times } = entry.fault;
    if (matched <= after) {
      counted.push({ ...entry, matched });
      continue;
    }
    return times !== 0 && matched >= after + times
      ? { fault: entry.fault, counted, finished: [entry.id] }
      : { fault: entry.fault, counted: [...counted, { ...entry, matched }], finished: [] };
  }
  return { fault: undefined, counted, finished: [] };
};

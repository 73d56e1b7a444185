/** Faults on demand: what can be asked for, and which one a request meets. No I/O. */
import { z } from "zod";
import { whole } from "./input.ts";

/** Faults that need no more than a kind. */
const PLAIN_KINDS = [
  /** The day is over, whatever the count says; not billed. */
  "daily_quota",
  /** The same in the older form: 403. Not billed. */
  "daily_403",
  /** Too fast; not billed. */
  "minute_quota",
  /** 403 about plan or host; billed. */
  "wrong_plan",
  "malformed_json",
  /** A complete HTTP message whose JSON stops midway. */
  "cut_off_json",
  /** The right answer without `ratelimit` and `ratelimit-policy`. */
  "missing_headers",
  /** 500, as for an answer over about 6 MB; billed. */
  "too_large",
  /** The headers show the count as it was before this request. */
  "stale_count",
  /** Billed; the connection dies in the middle of the body. */
  "reset_connection",
] as const;

/** Billed, then answered rightly after `hang_ms`; or never counted, and 504 after `hang_ms`. */
const HANGING_KINDS = ["hang_after_billing", "hang_before_billing"] as const;

export const FAULT_KINDS = ["status", ...HANGING_KINDS, ...PLAIN_KINDS] as const;

const headers = z.record(z.string(), z.string({ error: "a header's value as text" }), { error: 'headers such as {"retry-after": "2"}' });

const common = {
  /** Beginning of the path with its query, encoded or not; every path without it. */
  path: z
    .string({ error: 'the beginning of a path such as "/author/"' })
    .startsWith("/", { error: 'a path that begins with "/"' })
    .optional(),
  method: z.enum(["GET", "POST"], { error: '"GET" or "POST"' }).optional(),
  /** How many matching requests pass untouched first. */
  after: whole(0, 1_000_000).default(0),
  /** How many requests it then meets; 0 is all of them. */
  times: whole(0, 1_000_000).default(1),
  /** Added to the answer, over what would be there. */
  headers: headers.optional(),
};

export const faultSchema = z.discriminatedUnion(
  "kind",
  [
    /** Billed, then this status; `body` may be anything, text is sent as it is. */
    z.strictObject({ kind: z.literal("status"), ...common, status: whole(200, 599), body: z.unknown().optional() }),
    z.strictObject({ kind: z.enum(HANGING_KINDS), ...common, hang_ms: whole(0, 600_000).default(30_000) }),
    z.strictObject({ kind: z.enum(PLAIN_KINDS), ...common }),
  ],
  { error: `one of ${FAULT_KINDS.join(", ")}` },
);

export type Fault = z.infer<typeof faultSchema>;

/** A fault on the list, and how far it has come. */
export interface ListedFault {
  id: number;
  fault: Fault;
  /** Matching requests so far, the untouched ones included. */
  matched: number;
}

export interface Arrival {
  method: string;
  /** As sent: path and query. */
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

interface Meeting {
  /** What this request meets; at most one fault, the oldest that is due. */
  fault: Fault | undefined;
  /** Faults whose count changed, to be written back. */
  counted: ListedFault[];
  /** Faults that have done their work. */
  finished: number[];
}

/** Every matching fault up to the one that strikes counts the request; those after it do not see it. */
export const meet = (listed: readonly ListedFault[], arrival: Arrival): Meeting => {
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

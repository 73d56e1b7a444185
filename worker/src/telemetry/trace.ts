/**
 * What telemetry promises. A trace is handed on as an argument, like the clock: a span hangs from the one that started it, however much
 * runs at the same time. With telemetry off all of this works, and records nothing.
 */

/** What is absent is left out; a missing value is not zero. Text is cut to some hundred characters. */
export type Attributes = Readonly<Record<string, string | number | boolean | null | undefined>>;

export type Kind = "internal" | "server" | "client" | "consumer";

/** A place in a trace, from which spans can hang. */
export interface Trace {
  /** 32 hex digits. There is one with telemetry off as well, for the log. */
  readonly traceId: string;
  /** This place in W3C form: goes into jobs, and on requests to services of our own. Never to the provider. */
  readonly traceparent: string;
  /**
   * Runs `work` as a span below this place, with what it returns. A throw passes through and is recorded: as an error, unless it is a
   * problem that nobody needs to look at. Names are few and fixed; what varies is an attribute.
   */
  span<Result>(name: string, attributes: Attributes, work: (span: Span) => Promise<Result>, kind?: Kind): Promise<Result>;
}

/** A span that is running. What is told after its end is ignored. */
export interface Span extends Trace {
  /** Adds to the attributes. */
  set(attributes: Attributes): void;
  /** A better name, where it was not known at the beginning. */
  rename(name: string): void;
  /** It went wrong without a throw. */
  fail(type: string, message?: string): void;
}

/** Epoch milliseconds. */
export interface Past {
  readonly startedAt: number;
  readonly endedAt: number;
  /** null: it went well. */
  readonly error: { readonly type: string; readonly message: string } | null;
}

/** Where a door comes in: a trace of our own, or somebody else's that goes on here. */
export interface RootTrace extends Trace {
  /** Writes a span that is over. Its `place` was handed out before, so that others could hang from it while it ran elsewhere. */
  past(name: string, place: string, past: Past, attributes: Attributes): void;
}

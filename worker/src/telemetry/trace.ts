/**
 * Interface of telemetry. A trace is passed as an argument, like the clock, so a span has the right parent under concurrency. With telemetry
 * off, everything works and nothing is recorded.
 */

/** Missing values are omitted, because they are not zero. Text is cut to some hundred characters. */
export type Attributes = Readonly<Record<string, string | number | boolean | null | undefined>>;

export type Kind = "internal" | "server" | "client" | "consumer";

/** A place in a trace, below which spans can start. */
export interface Trace {
  /** 32 hex digits. Also exists with telemetry off, for the log. */
  readonly traceId: string;
  /** This place in W3C form, for jobs and requests to your own services. Never sent to the provider. */
  readonly traceparent: string;
  /**
   * Runs `work` as a span below this place and returns its result. Errors are recorded and rethrown. Problems that are not alarming do not
   * mark the span as failed. Names are few and fixed. Varying values are attributes.
   */
  span<Result>(name: string, attributes: Attributes, work: (span: Span) => Promise<Result>, kind?: Kind): Promise<Result>;
}

/** A running span. Calls after its end are ignored. */
export interface Span extends Trace {
  /** Adds to the attributes. */
  set(attributes: Attributes): void;
  /** Replaces the name, if it was not known at the start. */
  rename(name: string): void;
  /** Marks a failure without an error. */
  fail(type: string, message?: string): void;
}

/** Epoch milliseconds. */
export interface Past {
  readonly startedAt: number;
  readonly endedAt: number;
  /** null: success. */
  readonly error: { readonly type: string; readonly message: string } | null;
}

/** Root of a trace in this process: a new trace, or a continued one. */
export interface RootTrace extends Trace {
  /** Writes an ended span. Its `place` was used before as the parent of other spans. */
  past(name: string, place: string, past: Past, attributes: Attributes): void;
}

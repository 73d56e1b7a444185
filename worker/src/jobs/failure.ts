/** What something thrown means for a job: what is written down, and whether another try may cure it. No I/O. */
import { Problem } from "../errors.ts";

export interface JobFailure {
  readonly message: string;
  readonly retryable: boolean;
}

/** A row of the index and a log line stay readable. */
const MAX_MESSAGE_CHARACTERS = 2_000;

/** A step that is given up: its tries are used up, or no further one would help. Thrown to the handler, which may undo what it did. */
export class StepFailed extends Error {
  override readonly name = "StepFailed";
}

/**
 * A problem says itself whether the same may succeed later. Any other error may, unless it is the platform's `NonRetryableError`: nobody
 * knows. What is thrown and is no error is told as it is.
 */
export function failureOf(thrown: unknown): JobFailure {
  if (thrown instanceof Problem) return failure(`${thrown.code}: ${thrown.detail}`, thrown.kind.retryable);
  if (thrown instanceof Error)
    return failure(thrown.message || thrown.name, thrown.name !== "NonRetryableError" && !(thrown instanceof StepFailed));
  return failure(`Something was thrown that is no error: ${shown(thrown)}`, true);
}

function failure(message: string, retryable: boolean): JobFailure {
  return { message: message.slice(0, MAX_MESSAGE_CHARACTERS), retryable };
}

function shown(thrown: unknown): string {
  try {
    return JSON.stringify(thrown) ?? String(thrown);
  } catch {
    return Object.prototype.toString.call(thrown);
  }
}

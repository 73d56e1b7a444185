/** Classifies errors of jobs: the recorded message, and whether a retry may help. No I/O. */
import { Problem } from "../errors.ts";

export interface JobFailure {
  readonly message: string;
  readonly retryable: boolean;
}

/** Keeps rows of the index and log lines readable. */
const MAX_MESSAGE_CHARACTERS = 2_000;

/** A step has finally failed: no attempt is left, or a retry cannot help. Thrown to the handler, which may roll back. */
export class StepFailed extends Error {
  override readonly name = "StepFailed";
}

/**
 * A problem knows whether it is retryable. Any other error is retried, except the platform's `NonRetryableError`. Thrown values that are not
 * errors are shown as they are.
 */
export function failureOf(thrown: unknown): JobFailure {
  if (thrown instanceof Problem) return failure(`${thrown.code}: ${thrown.detail}`, thrown.kind.retryable);
  if (thrown instanceof Error)
    return failure(thrown.message || thrown.name, thrown.name !== "NonRetryableError" && !(thrown instanceof StepFailed));
  return failure(`Thrown value is not an error: ${shown(thrown)}`, true);
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

/** A failed call of Telegram: whether to repeat it, and when. */
interface Options {
  readonly retryable?: boolean;
  readonly retryAfterSeconds?: number | null;
}

/** Telegram refused something, or did not answer. Never holds an address, a token or a cause that might. */
export class TelegramError extends Error {
  override readonly name = "TelegramError";
  readonly retryable: boolean;
  /** As Telegram said; null where it did not. */
  readonly retryAfterSeconds: number | null;

  constructor(method: string, what: string, { retryable = false, retryAfterSeconds = null }: Options = {}) {
    super(`Telegram, ${method}: ${what}`);
    this.retryable = retryable;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

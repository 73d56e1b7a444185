/** Structured logs: one JSON object per line, which Workers Logs indexes by field. */

import { AsyncLocalStorage } from "node:async_hooks";

export type Fields = Readonly<Record<string, unknown>>;

/** The secret part of an API key. Keys are often pasted into URLs, which appear in errors. The id remains, to identify the key. */
const KEY_SECRETS = /(qc_(?:live|test)_[0-9A-Za-z]{10}_)[0-9A-Za-z]{38}/gu;

/** Text that may be stored. */
export const withoutKeySecrets = (text: string): string => text.replaceAll(KEY_SECRETS, "$1…");

/** Minimum length of a secret to redact. Shorter ones could match ordinary words. */
export const MIN_SECRET_LENGTH = 8;

/** Our own secrets, escaped as in JSON. They stay the same while an instance exists. */
const ownSecrets = new Set<string>();

/** Redacts these secrets from every later line. They are often pasted into URLs too. */
export function redactSecrets(secrets: readonly string[]): void {
  for (const secret of secrets) if (secret.length >= MIN_SECRET_LENGTH) ownSecrets.add(JSON.stringify(secret).slice(1, -1));
}

const withoutOwnSecrets = (json: string): string => [...ownSecrets].reduce((text, secret) => text.replaceAll(secret, "[secret]"), json);

/**
 * Fields of every line of one request, cron tick or job. Stored here instead of passed down, so that lines of deep functions have the ids
 * too. No decision depends on them.
 */
const sharedFields = new AsyncLocalStorage<Fields>();

/** Adds these fields to every line that `work` logs. A line's own fields take precedence. They do not reach Durable Objects. */
export const withLogFields = <Result>(fields: Fields, work: () => Result): Result =>
  sharedFields.run({ ...sharedFields.getStore(), ...fields }, work);

function line(level: "info" | "warn" | "error", message: string, fields: Fields): string {
  return withoutKeySecrets(withoutOwnSecrets(JSON.stringify({ level, message, ...sharedFields.getStore(), ...fields })));
}

/** An error as fields. The stack is only for the log and never reaches a caller. */
export function errorFields(error: unknown): Fields {
  if (!(error instanceof Error)) return { error: String(error) };
  return { error: error.message, error_name: error.name, stack: error.stack };
}

export const log = {
  info(message: string, fields: Fields = {}): void {
    console.log(line("info", message, fields));
  },
  warn(message: string, fields: Fields = {}): void {
    console.warn(line("warn", message, fields));
  },
  error(message: string, fields: Fields = {}): void {
    console.error(line("error", message, fields));
  },
};

/** Structured logs: one JSON object a line, which Workers Logs indexes by field. */

import { AsyncLocalStorage } from "node:async_hooks";

export type Fields = Readonly<Record<string, unknown>>;

/** The secret in an API key. Keys are pasted into addresses, and end up in what errors say; their ids stay, and say whose they are. */
const KEY_SECRETS = /(qc_(?:live|test)_[0-9A-Za-z]{10}_)[0-9A-Za-z]{38}/gu;

/** A text as it may be kept. */
export const withoutKeySecrets = (text: string): string => text.replaceAll(KEY_SECRETS, "$1…");

/** Of a secret that can be blotted out: a shorter one may be a part of any word. */
export const MIN_SECRET_LENGTH = 8;

/** Our own, as they stand in JSON: the same for an instance's whole life. */
const ours = new Set<string>();

/** From now on no line holds them: they are pasted into addresses too. */
export function keepSecret(secrets: readonly string[]): void {
  for (const secret of secrets) if (secret.length >= MIN_SECRET_LENGTH) ours.add(JSON.stringify(secret).slice(1, -1));
}

const withoutOurs = (json: string): string => [...ours].reduce((text, secret) => text.replaceAll(secret, "[secret]"), json);

/**
 * What every line of one request, cron tick or job says. Held aside instead of handed down: a line is written in the deepest places, and
 * one whose author forgot the ids is the one that is searched for. Nothing is decided by it.
 */
const shared = new AsyncLocalStorage<Fields>();

/** Every line that `work` writes, however deep, carries these fields; a line's own win. They do not reach Durable Objects. */
export const withLogFields = <Result>(fields: Fields, work: () => Result): Result => shared.run({ ...shared.getStore(), ...fields }, work);

function line(level: "info" | "warn" | "error", message: string, fields: Fields): string {
  return withoutKeySecrets(withoutOurs(JSON.stringify({ level, message, ...shared.getStore(), ...fields })));
}

/** An error as fields. The stack is for the log only; nothing of it reaches a caller. */
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

/** Structured logs: one JSON object a line, which Workers Logs indexes by field. */

type Fields = Readonly<Record<string, unknown>>;

/** The secret in an API key. Keys are pasted into addresses, and end up in what errors say; their ids stay, and say whose they are. */
const KEY_SECRETS = /(qc_(?:live|test)_[0-9A-Za-z]{10}_)[0-9A-Za-z]{38}/gu;

function line(level: "info" | "warn" | "error", message: string, fields: Fields): string {
  return JSON.stringify({ level, message, ...fields }).replaceAll(KEY_SECRETS, "$1…");
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

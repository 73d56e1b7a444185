/** Telegram: where copies of backups go, and where operators are told. */
export { MAX_DOCUMENT_BYTES, TelegramClient } from "./client.ts";
export { TelegramError } from "./error.ts";

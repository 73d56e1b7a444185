/** Telegram: where copies of backups go, and where operators are told. */
export { MAX_DOCUMENT_BYTES, TelegramClient, TelegramError } from "./client.ts";

/** Telegram: receives copies of backups and notices for operators. */
export { MAX_DOCUMENT_BYTES, TelegramClient, TelegramError } from "./client.ts";

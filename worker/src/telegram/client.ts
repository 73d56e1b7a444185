/**
 * Client of Telegram's Bot API (core.telegram.org/bots/api). The bot's token is part of every URL. So no error, log line or span contains a
 * URL, and the token is removed from Telegram's messages before they are shown.
 */
import type { TelegramConfig } from "../env.ts";
import { log } from "../lib/log.ts";
import { readText } from "../lib/read-text.ts";
import { readAnswer, filePath, sentFileId } from "./schema.ts";

/** A bot may send 50 MB, but fetch only 20 MB with `getFile`. */
export const MAX_DOCUMENT_BYTES = 19 * 1024 * 1024;
/** Maximum of `sendMessage`. */
const MAX_TEXT_CHARACTERS = 4_096;
const MAX_CAPTION_CHARACTERS = 1_024;
/** Kept from Telegram's description of a refusal. */
const MAX_DESCRIPTION_CHARACTERS = 500;

const TIMEOUT_MS = 15_000;
/** Time limit for the transfer of a document of 19 MiB. */
const FILE_TIMEOUT_MS = 120_000;
const MAX_ANSWER_BYTES = 256 * 1024;
/** The caller handles longer pauses, because a job can sleep longer than a request. */
const MAX_PAUSE_SECONDS = 10;
const MAX_ATTEMPTS = 3;

type Fields = Readonly<Record<string, string | { readonly name: string; readonly bytes: Uint8Array<ArrayBuffer> }>>;

interface Repetition {
  readonly retryable?: boolean;
  readonly retryAfterSeconds?: number | null;
}

/** Telegram refused a request or did not answer. Contains no URL, no token and no cause that may contain them. */
export class TelegramError extends Error {
  override readonly name = "TelegramError";
  readonly retryable: boolean;
  /** Pause that Telegram requested. null: it requested none. */
  readonly retryAfterSeconds: number | null;

  constructor(method: string, what: string, { retryable = false, retryAfterSeconds = null }: Repetition = {}) {
    super(`Telegram, ${method}: ${what}`);
    this.retryable = retryable;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

export class TelegramClient {
  readonly #config: TelegramConfig;
  /** Id of the chat. Changes when Telegram reports that the chat has moved. */
  #chatId: string;

  constructor(config: TelegramConfig) {
    this.#config = config;
    this.#chatId = config.chatId;
  }

  /** Plain text, cut to its maximum length. Throws `TelegramError`. */
  async sendMessage(text: string): Promise<void> {
    await this.#toChat("sendMessage", { text: text.slice(0, MAX_TEXT_CHARACTERS) }, TIMEOUT_MS);
  }

  /** Returns the file id. A document over `MAX_DOCUMENT_BYTES` could not be fetched again. Throws `TelegramError`. */
  async sendDocument(name: string, bytes: Uint8Array<ArrayBuffer>, caption: string): Promise<string> {
    if (bytes.byteLength > MAX_DOCUMENT_BYTES) throw new TelegramError("sendDocument", `${bytes.byteLength} bytes are too many.`);
    const fields = { document: { name, bytes }, caption: caption.slice(0, MAX_CAPTION_CHARACTERS) };
    const fileId = sentFileId(await this.#toChat("sendDocument", fields, FILE_TIMEOUT_MS));
    if (fileId === null) throw new TelegramError("sendDocument", "the response has no file id.", { retryable: true });
    return fileId;
  }

  /** Bytes of a document, by the id from `sendDocument`. Throws `TelegramError`. The stream throws its own errors. */
  async getFile(fileId: string): Promise<ReadableStream<Uint8Array>> {
    const path = filePath(await this.#answered("getFile", { file_id: fileId }, TIMEOUT_MS));
    if (path === null) throw new TelegramError("getFile", "the response has no file path.", { retryable: true });
    const response = await this.#fetch("getFile", `file/bot${this.#config.botToken}/${path}`, {}, FILE_TIMEOUT_MS);
    if (response.ok && response.body !== null) return response.body;
    await response.body?.cancel();
    throw new TelegramError("getFile", `the download of the file returned ${response.status}.`, { retryable: response.status >= 500 });
  }

  async #toChat(method: string, fields: Fields, timeoutMs: number): Promise<unknown> {
    return this.#answered(method, () => ({ chat_id: this.#chatId, ...fields }), timeoutMs);
  }

  /** Waits if Telegram requests a short pause, and follows a moved chat. */
  async #answered(method: string, fields: Fields | (() => Fields), timeoutMs: number): Promise<unknown> {
    for (let tries = 1; ; tries += 1) {
      const body = formOf(typeof fields === "function" ? fields() : fields);
      const response = await this.#fetch(method, `bot${this.#config.botToken}/${method}`, { method: "POST", body }, timeoutMs);
      const answer = readAnswer(await readText(response.body, MAX_ANSWER_BYTES, AbortSignal.timeout(timeoutMs)));
      if (answer.ok) return answer.result;
      const { description, parameters } = answer;
      const { retry_after: retryAfter = null, migrate_to_chat_id: movedTo } = parameters;
      if (tries < MAX_ATTEMPTS && movedTo !== undefined) {
        log.warn("Telegram chat moved, TELEGRAM_CHAT_ID is outdated", { from: this.#chatId, to: String(movedTo) });
        this.#chatId = String(movedTo);
        continue;
      }
      if (tries < MAX_ATTEMPTS && retryAfter !== null && retryAfter <= MAX_PAUSE_SECONDS) {
        await new Promise((resolve) => setTimeout(resolve, retryAfter * 1_000));
        continue;
      }
      throw new TelegramError(method, this.#withoutToken(`${response.status} ${description}`), {
        retryable: response.status === 429 || response.status >= 500,
        retryAfterSeconds: retryAfter,
      });
    }
  }

  async #fetch(method: string, path: string, init: RequestInit, timeoutMs: number): Promise<Response> {
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      return await globalThis.fetch(`${this.#config.apiUrl.replace(/\/+$/u, "")}/${path}`, { ...init, signal, redirect: "manual" });
    } catch {
      // The message and the cause are dropped: both may contain the URL.
      throw new TelegramError(method, "no response.", { retryable: true });
    }
  }

  #withoutToken(text: string): string {
    // Cut afterwards, because half a token would not be found.
    return text.replaceAll(this.#config.botToken, "[token]").slice(0, MAX_DESCRIPTION_CHARACTERS);
  }
}

function formOf(fields: Fields): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === "string") form.append(name, value);
    else form.append(name, new Blob([value.bytes], { type: "application/gzip" }), value.name);
  }
  return form;
}

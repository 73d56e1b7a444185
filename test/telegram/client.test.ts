import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { MAX_DOCUMENT_BYTES, TelegramClient, TelegramError } from "../../worker/src/telegram/index.ts";
import { documentsOf } from "../../worker/src/tenants/backups/copies.ts";

const TOKEN = "123456789:AAtesttokentesttokentesttoken";
const bytes = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(new TextEncoder().encode(text));

interface Sent {
  readonly url: string;
  readonly chat: unknown;
  readonly form: FormData | null;
}

let sent: Sent[];
let client: TelegramClient;
let logged: string[];

beforeEach(() => {
  sent = [];
  logged = [];
  client = new TelegramClient({ botToken: TOKEN, chatId: "-42", apiUrl: "http://telegram.test/" });
  for (const level of ["log", "info", "warn", "error"] as const) {
    vi.spyOn(console, level).mockImplementation((...args: unknown[]) => void logged.push(args.map(String).join(" ")));
  }
});
afterEach(() => void vi.restoreAllMocks());

/** Sends the responses one after the other, then repeats the last one. */
function answering(...answers: (Response | Error)[]): void {
  let next = 0;
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const form = init?.body instanceof FormData ? init.body : null;
    sent.push({ url: input instanceof Request ? input.url : input.toString(), chat: form?.get("chat_id") ?? null, form });
    const answer = answers[Math.min(next, answers.length - 1)] ?? new Error("no answer");
    next += 1;
    if (answer instanceof Error) throw answer;
    return answer.clone();
  });
}

const good = (result: unknown): Response => Response.json({ ok: true, result });
const bad = (status: number, description: string, parameters?: object): Response =>
  Response.json({ ok: false, error_code: status, description, ...(parameters ? { parameters } : {}) }, { status });

async function errorOf(work: Promise<unknown>): Promise<TelegramError> {
  const thrown = await work.then(
    () => null,
    (error: unknown) => error,
  );
  if (!(thrown instanceof TelegramError)) throw new Error(`no TelegramError: ${String(thrown)}`);
  return thrown;
}

describe("Telegram's client", () => {
  test("sends a message and a document in the format of the Bot API", async () => {
    answering(good({ message_id: 1 }), good({ document: { file_id: "F-1" } }));
    await client.sendMessage("Hello");
    expect(await client.sendDocument("a.gz", bytes("abc"), "The caption")).toBe("F-1");
    expect(sent.map(({ url }) => url)).toEqual([
      `http://telegram.test/bot${TOKEN}/sendMessage`,
      `http://telegram.test/bot${TOKEN}/sendDocument`,
    ]);
    const [message, document] = sent.map(({ form }) => form);
    expect([message?.get("chat_id"), message?.get("text")]).toEqual(["-42", "Hello"]);
    const file = document?.get("document") as unknown as File;
    expect([document?.get("caption"), file.name, await file.text()]).toEqual(["The caption", "a.gz", "abc"]);
  });

  test("downloads a file by its id", async () => {
    answering(good({ file_path: "documents/file_7.gz" }), new Response("the bytes"));
    expect(await new Response(await client.getFile("F-1")).text()).toBe("the bytes");
    expect(sent[0]?.form?.get("file_id")).toBe("F-1");
    expect(sent[1]?.url).toBe(`http://telegram.test/file/bot${TOKEN}/documents/file_7.gz`);
  });

  test("refuses a document that is too large to download, and a path outside the bot's files", async () => {
    answering(good({ file_path: "../../?x=http://else.test" }));
    expect((await errorOf(client.sendDocument("a", new Uint8Array(MAX_DOCUMENT_BYTES + 1), ""))).message).toContain("too many");
    expect((await errorOf(client.getFile("F-1"))).message).toBe("Telegram, getFile: the response has no file path.");
    expect(sent).toHaveLength(1);
  });

  test("waits for a short pause, and leaves a long pause to the calling code", async () => {
    answering(bad(429, "Too Many Requests: retry after 1", { retry_after: 1 }), good({}));
    const began = performance.now();
    await client.sendMessage("Hello");
    expect(performance.now() - began).toBeGreaterThan(950);
    answering(bad(429, "Too Many Requests: retry after 240", { retry_after: 240 }));
    expect(await errorOf(client.sendMessage("Hello"))).toMatchObject({ retryable: true, retryAfterSeconds: 240 });
    expect(sent).toHaveLength(3);
  });

  test("pauses no more than twice", async () => {
    answering(bad(429, "Too Many Requests", { retry_after: 0 }));
    expect(await errorOf(client.sendMessage("Hello"))).toMatchObject({ retryAfterSeconds: 0 });
    expect(sent).toHaveLength(3);
  });

  test("follows a chat that became a supergroup, and keeps its new id", async () => {
    answering(bad(400, "Bad Request: group chat was upgraded", { migrate_to_chat_id: -1001 }), good({}), good({}));
    await client.sendMessage("one");
    await client.sendMessage("two");
    expect(sent.map(({ chat }) => chat)).toEqual(["-42", "-1001", "-1001"]);
    expect(logged.join("\n")).toContain("TELEGRAM_CHAT_ID is outdated");
  });

  test("stops following a chat whose moves form a circle", async () => {
    answering(bad(400, "moved", { migrate_to_chat_id: -1 }));
    expect((await errorOf(client.sendMessage("Hello"))).message).toBe("Telegram, sendMessage: 400 moved");
    expect(sent).toHaveLength(3);
  });

  test.each([
    [401, "Unauthorized", false],
    [400, "Bad Request: chat not found", false],
    [429, "Too Many Requests", true],
    [502, "Bad Gateway", true],
  ])("%i %s: retried: %s", async (status, description, retryable) => {
    answering(bad(status, description));
    expect(await errorOf(client.sendMessage("Hello"))).toMatchObject({
      retryable,
      message: `Telegram, sendMessage: ${status} ${description}`,
    });
  });

  test.each([
    ["no JSON", new Response("<html>", { status: 502 })],
    ["another shape", Response.json({ hello: 1 })],
    ["nothing", new Response(null, { status: 500 })],
  ])("an answer that is %s is an error, not a success", async (_, answer) => {
    answering(answer);
    expect((await errorOf(client.sendMessage("Hello"))).message).toContain("in no form of Telegram's");
  });

  test("keeps its token out of errors, causes and log lines", async () => {
    const errors: TelegramError[] = [];
    answering(new TypeError(`fetch failed: http://telegram.test/bot${TOKEN}/sendMessage`));
    errors.push(await errorOf(client.sendMessage("Hello")));
    answering(bad(404, `Not Found: /bot${TOKEN}/sendMessage`));
    errors.push(await errorOf(client.sendMessage("Hello")));
    answering(good({ file_path: "documents/f" }), new Response(null, { status: 404 }));
    errors.push(await errorOf(client.getFile("F")));
    const told = errors.map((error) => `${error.message} ${error.stack ?? ""} ${String(error.cause)} ${JSON.stringify(error)}`).join("\n");
    expect(told).not.toContain(TOKEN);
    expect(told).not.toContain("telegram.test");
    expect(logged.join("\n")).not.toContain(TOKEN);
    answering(bad(404, `${" ".repeat(480)}/bot${TOKEN}/sendMessage`));
    expect((await errorOf(client.sendMessage("Hello"))).message).not.toContain(TOKEN.slice(0, 12));
    expect(errors.map(({ message }) => message)).toEqual([
      "Telegram, sendMessage: no response.",
      "Telegram, sendMessage: 404 Not Found: /bot[token]/sendMessage",
      "Telegram, getFile: the download of the file returned 404.",
    ]);
  });
});

describe("documents", () => {
  const sizes = (...parts: number[]): number[][] =>
    documentsOf(
      parts.map((stored_bytes) => ({ stored_bytes })),
      19,
    ).map((document) => document.map(({ stored_bytes }) => stored_bytes));

  test("hold as many whole parts, in order, as fit", () => {
    expect(sizes()).toEqual([]);
    expect(sizes(3)).toEqual([[3]]);
    expect(sizes(10, 9, 1)).toEqual([[10, 9], [1]]);
    expect(sizes(10, 10, 9, 5, 5, 5, 4)).toEqual([[10], [10, 9], [5, 5, 5, 4]]);
  });
});

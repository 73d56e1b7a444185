/** A replacement of Telegram's Bot API on loopback. It keeps received messages, by the API's own rules and limits. */
import { createServer } from "node:http";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface TelegramServer {
  readonly url: string;
  readonly documents: ReadonlyMap<string, { readonly name: string; readonly caption: string; readonly bytes: Buffer<ArrayBuffer> }>;
  readonly messages: readonly string[];
  readonly stop: () => Promise<void>;
}

/** Methods that a bot may call. */
const MAX_SENT = 50 * 1024 * 1024;
const MAX_FETCHED = 20 * 1024 * 1024;

export async function startTelegram(token: string, chat: string): Promise<TelegramServer> {
  const documents = new Map<string, { name: string; caption: string; bytes: Buffer<ArrayBuffer> }>();
  const messages: string[] = [];
  const refused = (status: number, description: string) => Response.json({ ok: false, error_code: status, description }, { status });
  const good = (result: unknown) => Response.json({ ok: true, result });

  const answer = async (path: string, form: FormData): Promise<Response> => {
    const text = (name: string): string => {
      const value = form.get(name);
      return typeof value === "string" ? value : "";
    };
    const file = path.startsWith(`/file/bot${token}/documents/`) ? documents.get(path.split("/").at(-1) ?? "") : undefined;
    if (file) return new Response(file.bytes);
    if (!path.startsWith(`/bot${token}/`)) return refused(404, "Not Found");
    const method = path.split("/").at(-1);
    if (method === "getFile") {
      const found = documents.get(text("file_id"));
      if (!found) return refused(400, "Bad Request: invalid file_id");
      return found.bytes.length > MAX_FETCHED
        ? refused(400, "Bad Request: file is too big")
        : good({ file_path: `documents/${text("file_id")}` });
    }
    if (form.get("chat_id") !== chat) return refused(400, "Bad Request: chat not found");
    if (method === "sendMessage") return good({ message_id: messages.push(text("text")) });
    const document = form.get("document");
    if (!(document instanceof File)) return refused(400, "Bad Request: the request has no document");
    if (document.size > MAX_SENT) return refused(413, "Request Entity Too Large");
    const id = `file-${documents.size + 1}`;
    documents.set(id, { name: document.name, caption: text("caption"), bytes: Buffer.from(await document.arrayBuffer()) });
    return good({ message_id: 1, document: { file_id: id, file_name: document.name, file_size: document.size } });
  };

  const server = createServer((request, response) => {
    void (async () => {
      const reply = await answer(request.url ?? "", await formOf(request));
      response.writeHead(reply.status, Object.fromEntries(reply.headers));
      response.end(Buffer.from(await reply.arrayBuffer()));
    })().catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    documents,
    messages,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function formOf(request: IncomingMessage): Promise<FormData> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const type = request.headers["content-type"];
  return type === undefined ? new FormData() : new Response(Buffer.concat(chunks), { headers: { "content-type": type } }).formData();
}

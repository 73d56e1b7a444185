/** Copies in Telegram, and downloads from them. test/e2e/backups.ts tests them with a real server. */
import { env } from "cloudflare:workers";
import { introspectWorkflow } from "cloudflare:test";
import type { WorkflowIntrospector } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createDeps } from "../../../worker/src/deps.ts";
import type { Deps } from "../../../worker/src/deps.ts";
import { sendCopies } from "../../../worker/src/tenants/backups/copies.ts";
import { StoredParts } from "../../../worker/src/tenants/backups/stored.ts";
import { TelegramClient } from "../../../worker/src/telegram/index.ts";
import { callWith } from "../../routes/support.ts";
import { ADMIN_TOKEN, freshStart } from "../../support/worker.ts";
import { run } from "../../tenant-database/support.ts";
import { makeOrganization, makeProject, rows } from "../../support/tenants/http.ts";
import { backUp, fill, hashOf, interceptSteps, objects } from "./support.ts";

const TOKEN = "123456789:AAtesttokentesttokentesttoken";
const CONFIGURED = { TELEGRAM_BOT_TOKEN: TOKEN, TELEGRAM_CHAT_ID: "-42", TELEGRAM_API_URL: "http://telegram.test" };

let workflows: WorkflowIntrospector;
let files: Map<string, Uint8Array<ArrayBuffer>>;
let messages: string[];
/** Responses that `sendDocument` gives first, one after the other. */
let refusals: (() => Response)[];

beforeEach(async () => {
  await freshStart();
  workflows = await introspectWorkflow(env.JOBS);
  await workflows.modifyAll(async (instance) => {
    await instance.disableRetryDelays();
    await instance.disableSleeps();
  });
  await makeOrganization("org");
  await makeProject("shop");
  files = new Map();
  messages = [];
  refusals = [];
  const real = globalThis.fetch;
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    return url.startsWith("http://telegram.test/") ? answer(url, init?.body) : real(input, init);
  });
});
afterEach(async () => {
  await workflows.dispose();
  vi.restoreAllMocks();
});

async function answer(url: string, body: unknown): Promise<Response> {
  const ok = (result: unknown): Response => Response.json({ ok: true, result });
  const form = body instanceof FormData ? body : new FormData();
  const text = (name: string): string => {
    const value = form.get(name);
    return typeof value === "string" ? value : "";
  };
  if (url.includes("/file/")) return new Response(files.get(url.split("/").at(-1) ?? "") ?? null);
  if (url.endsWith("/getFile")) return ok({ file_path: `documents/${text("file_id")}` });
  if (url.endsWith("/sendMessage")) return ok(messages.push(text("text")));
  const refusal = refusals.shift();
  if (refusal) return refusal();
  const id = `F-${files.size + 1}`;
  files.set(id, new Uint8Array(await (form.get("document") as unknown as Blob).arrayBuffer()));
  return ok({ document: { file_id: id } });
}

const telegram = new TelegramClient({ botToken: TOKEN, chatId: "-42", apiUrl: "http://telegram.test" });
const withTelegram = (deps: Deps): Deps => ({ ...deps, telegram });
const configured = (): void => interceptSteps((_step, _nth, deps) => withTelegram(deps), undefined, "export_backup", withTelegram);
const fetched = async (backup: string) =>
  callWith(CONFIGURED, `/api/projects/shop/backups/${backup}/download`, { headers: { authorization: `Bearer ${ADMIN_TOKEN}` } });

describe("with a configured bot", () => {
  test("a backup is copied to Telegram, and parts that R2 lost or damaged come from there", async () => {
    configured();
    await fill("shop", 3);
    const { backup } = await backUp("shop");
    expect(backup).toMatchObject({ status: "verified", copies: "sent", parts: 2 });
    expect([...files.values()].map(hashOf)).toEqual([backup.sha256]);
    expect(messages).toEqual([
      expect.stringMatching(
        /^Backup of project shop \(full, bak_\w+\) is verified: 12 rows in 1 tables, [\d.]+ MiB\. Copied here in 1 documents\.$/u,
      ),
    ]);
    const deps = { ...createDeps({ ...env, ...CONFIGURED }, () => Date.now()), telegram };
    expect(await sendCopies(deps, { id: backup.id, project_id: "shop", moment: 1 })).toEqual({ result: "sent" });
    expect(files.size).toBe(1);
    const [first = "", second = ""] = await objects("shop");
    await env.BACKUPS.delete(second);
    await env.BACKUPS.put(first, "something else");
    expect(await fetched(backup.id)).toMatchObject({ status: 200 });
    const { bytes } = await fetchedBytes(backup.id);
    expect(hashOf(bytes)).toBe(backup.sha256);
  });

  test("a damaged copy is refused: the download fails, and no wrong bytes are sent", async () => {
    configured();
    await run("shop", "CREATE TABLE t(x)");
    const { backup } = await backUp("shop");
    await env.BACKUPS.delete((await objects("shop"))[0] ?? "");
    for (const [id, bytes] of files)
      files.set(
        id,
        bytes.map((byte) => byte ^ 1),
      );
    await expect(fetchedBytes(backup.id)).rejects.toThrow(/damaged or missing/u);
  });

  test("the job sleeps for the pause that Telegram requires, and sends no document twice", async () => {
    configured();
    refusals.push(() => Response.json({ ok: false, description: "Too Many Requests", parameters: { retry_after: 60 } }, { status: 429 }));
    await run("shop", "CREATE TABLE t(x)");
    const { backup, job } = await backUp("shop");
    expect(backup.copies).toBe("sent");
    expect(job.attempts.filter(({ step }) => step === "copy to Telegram").map(({ nth, outcome }) => `${nth} ${outcome}`)).toEqual([
      "1 succeeded",
      "2 succeeded",
    ]);
    expect(files.size).toBe(1);
  });

  test("a copy that Telegram refuses does not invalidate the backup, and is reported without the token", async () => {
    configured();
    refusals.push(() => Response.json({ ok: false, description: `Forbidden: bot${TOKEN} was kicked` }, { status: 403 }));
    await run("shop", "CREATE TABLE t(x)");
    const { backup, job } = await backUp("shop");
    expect(backup).toMatchObject({ status: "verified", copies: "failed" });
    expect(messages).toEqual([expect.stringMatching(/COULD NOT BE COPIED HERE\.$/u)]);
    const everything = await Promise.all(
      ["backups", "backup_documents", "events", "jobs", "job_attempts", "audit_log"].map(async (table) => rows(`SELECT * FROM ${table}`)),
    );
    expect(JSON.stringify([everything, job])).not.toContain(TOKEN);
  });

  test("a failure is also reported to operators", async () => {
    configured();
    await run("shop", "CREATE VIRTUAL TABLE gone USING fts5(x, content = '')");
    await backUp("shop");
    expect(messages).toEqual([
      expect.stringMatching(/^Backup of project shop \(full, bak_\w+\) FAILED: unprocessable: The full-text table "gone"/u),
    ]);
  });
});

async function fetchedBytes(backup: string): Promise<{ readonly bytes: Uint8Array<ArrayBuffer> }> {
  const deps = createDeps({ ...env, ...CONFIGURED }, () => Date.now());
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for await (const piece of new StoredParts(deps, { id: backup, project_id: "shop", moment: 1 }).all()) pieces.push(piece);
  return { bytes: new Uint8Array(await new Blob(pieces).arrayBuffer()) };
}

/** Backups of the built product: loaded into Node's SQLite, restored into a new project, and copied to a fake Telegram. */
import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { editProduct } from "../support/node/edited-product.ts";
import type { EditedProduct } from "../support/node/edited-product.ts";
import { startProduct } from "../support/node/product.ts";
import type { Product } from "../support/node/product.ts";
import { SOAK } from "../support/node/soak.ts";
import { content, open, survey } from "../support/node/sqlite.ts";
import { startTelegram } from "../support/node/telegram.ts";
import type { TelegramServer } from "../support/node/telegram.ts";
import { TRAP_ROWS, TRAP_SCHEMA } from "../tenant-database/traps.ts";

const BOT_TOKEN = "123456789:AAtesttokentesttokentesttoken";
const CHAT = "-1001234567890";

/** More than one part of 4 MiB, with few rows or with many. */
const [ROWS, PADDING] = SOAK ? [60_000, "''"] : [1_100, "hex(zeroblob(2000))"];
const MANY_ROWS = [
  "CREATE TABLE numbers(id INTEGER PRIMARY KEY, n, t TEXT, r REAL, b BLOB, e)",
  `WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
   INSERT INTO numbers SELECT i, 9007199254740992 + i, 'row ' || i || ' 😀' || ${PADDING}, i / 7.0, CAST(i AS BLOB), NULL FROM n`,
];
const EVERYTHING = [...TRAP_SCHEMA, ...TRAP_ROWS, ...MANY_ROWS];
/** Size of the random bytes and the limit of a document. As SQL the bytes are twice as large, and compressed a little larger than before. */
const [RANDOM_MIB, DOCUMENT_MIB] = SOAK ? [31, 19] : [5, 5];

interface Backup extends Record<string, unknown> {
  readonly id: string;
  readonly status: string;
  readonly job_id: string;
  readonly sha256: string;
  readonly stored_bytes: number;
}

interface Manifest extends Record<string, unknown> {
  readonly schema_hash: string;
  readonly tables: readonly { readonly name: string; readonly rows: number; readonly hash: string }[];
  readonly parts: readonly { readonly key: string }[];
}

let telegram: TelegramServer;
let product: Product;
let source: EditedProduct;

beforeAll(async () => {
  telegram = await startTelegram(BOT_TOKEN, CHAT);
  source = editProduct("worker/src/telegram/client.ts", "MAX_DOCUMENT_BYTES = 19 * 1024", `MAX_DOCUMENT_BYTES = ${DOCUMENT_MIB} * 1024`);
  const vars = { TELEGRAM_CHAT_ID: CHAT, TELEGRAM_API_URL: telegram.url };
  product = await startProduct(vars, { TELEGRAM_BOT_TOKEN: BOT_TOKEN }, source.config);
  await product.call("POST", "/api/organizations", { id: "org", name: "Organization" });
});
afterAll(async () => {
  await product.stop();
  source.remove();
  await telegram.stop();
});

async function projectWith(id: string, statements: readonly string[]): Promise<void> {
  await product.call("POST", "/api/projects", { id, organization_id: "org", name: id });
  const database = await product.database(id);
  for (const sql of statements) {
    const { result, message } = await database.query({ sql, params: [], readOnly: false, maxRows: 1 });
    if (result !== "rows") throw new Error(`${message ?? result}: ${sql.slice(0, 200)}`);
  }
}

async function ended<Body extends { readonly status: string }>(path: string): Promise<Body> {
  for (;;) {
    const { body } = await product.call<Body>("GET", path);
    if (body.status !== "running") return body;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function backUp(project: string): Promise<Backup> {
  const { body } = await product.call<Backup>("POST", `/api/projects/${project}/backups`, {});
  const done = await ended<Backup>(`/api/projects/${project}/backups/${body.id}`);
  expect(done).toMatchObject({ status: "verified", copies: "sent", error: null });
  return done;
}

async function download(project: string, { id }: Backup): Promise<Buffer> {
  const headers = { authorization: `Bearer ${product.token}`, "accept-encoding": "identity" };
  const response = await fetch(new URL(`/api/projects/${project}/backups/${id}/download`, product.url), { headers });
  const bytes = Buffer.from(await response.arrayBuffer());
  expect([response.status, Number(response.headers.get("content-length"))]).toEqual([200, bytes.length]);
  return bytes;
}

const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

test("a backup of all kinds of data loads into another SQLite and a new project, with equal hashes", async () => {
  await projectWith("traps", EVERYTHING);
  const backup = await backUp("traps");
  const file = await download("traps", backup);
  expect({ sha256: hashOf(file), bytes: file.length }).toEqual({ sha256: backup.sha256, bytes: backup.stored_bytes });

  const { body: manifest } = await product.call<Manifest>("GET", `/api/projects/traps/backups/${backup.id}/manifest`);
  expect(manifest.parts.length).toBeGreaterThan(1);
  const loaded = open([gunzipSync(file).toString("utf8")]);
  expect(content(loaded)).toEqual(content(open(EVERYTHING)));
  expect(survey(loaded)).toEqual({ schema: manifest.schema_hash, tables: manifest.tables });
  expect(loaded.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);

  await product.call("POST", `/api/projects/traps/backups/${backup.id}/restore`, { project_id: "copy" });
  expect(await ended("/api/projects/copy/restore")).toMatchObject({ status: "completed", error: null });
  const query = { sql: "SELECT count(*), sum(n), max(t) FROM numbers" };
  const [from, to] = await Promise.all(
    ["traps", "copy"].map(async (id) => product.call("POST", `/api/projects/${id}/database/query`, query)),
  );
  expect(to?.body["rows"]).toEqual(from?.body["rows"]);
});

test("a dump over the limit of a document is split into Telegram documents, and is complete after R2 lost it", async () => {
  const before = telegram.documents.size;
  const blobs = `WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < ${RANDOM_MIB}) INSERT INTO random(b) SELECT randomblob(1048576) FROM n`;
  await projectWith("large", ["CREATE TABLE random(id INTEGER PRIMARY KEY, b BLOB)", blobs]);
  const backup = await backUp("large");
  expect(backup["sql_bytes"]).toBeGreaterThan(2 * RANDOM_MIB * 1024 * 1024);

  const documents = [...telegram.documents.values()].slice(before);
  expect(documents.length).toBeGreaterThan(1);
  expect(documents.map(({ bytes }) => bytes.length).filter((bytes) => bytes > DOCUMENT_MIB * 1024 * 1024)).toEqual([]);
  expect(hashOf(Buffer.concat(documents.map(({ bytes }) => bytes)))).toBe(backup.sha256);
  expect(documents[0]?.name).toMatch(/^large-\d{8}T\d{6}Z-full\.sql\.gz\.001$/u);
  expect(telegram.messages.at(-1)).toMatch(
    new RegExp(`is verified: ${RANDOM_MIB} rows in 1 tables, .* Copied here in ${documents.length} documents\\.$`, "u"),
  );

  await product.loseBackups("large/");
  const file = await download("large", backup);
  expect(hashOf(file)).toBe(backup.sha256);
});

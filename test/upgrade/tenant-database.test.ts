/** Today's code opens a project's database of the release that introduced them: its tables and the object's own state. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, test } from "vitest";
import { get } from "../support/worker.ts";
import { right } from "../support/tenants/http.ts";
import { by } from "../support/tenants/keys.ts";
import { RELEASES } from "./releases.ts";
import { upgradedFrom } from "./support.ts";

const release = RELEASES.find(({ migrations }) => migrations === 5);
const key = release?.told.keys?.key ?? "";

/** Creates the database with `state` in the object's key-value store. */
async function createDatabase(state: Readonly<Record<string, unknown>>): Promise<void> {
  const database = env.TENANT_DATABASE.getByName("shop");
  await runInDurableObject(database, async (_, { storage }) => {
    for (const [name, value] of Object.entries(state)) storage.kv.put(name, value);
    storage.sql.exec("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)");
    storage.sql.exec("INSERT INTO notes (text) VALUES ('one'), ('two')");
  });
  await evictDurableObject(database);
}

const query = async (sql: string) => by(key, "POST", "/api/projects/shop/database/query", { sql });

beforeEach(async () => {
  if (release === undefined) throw new Error("recording not found");
  await upgradedFrom(release);
});

test("its rows are readable and writable, and counting continues", async () => {
  await createDatabase({ created_at: Date.parse("2031-05-14T14:02:00Z"), schema_version: 1 });
  expect(await query("SELECT text FROM notes ORDER BY id")).toMatchObject({ status: 200, body: { rows: [["one"], ["two"]] } });
  expect(await query("INSERT INTO notes (text) VALUES ('three')")).toMatchObject({ status: 200 });
  const { caps } = right(await get<{ caps: { cap_type: string; used: number }[] }>("/api/projects/shop/usage"));
  expect(caps.find(({ cap_type }) => cap_type === "db_queries_per_day")).toMatchObject({ used: 4 });
});

test("a freeze still blocks writes, and an import still blocks everything", async () => {
  const until = Date.now() + 60_000;
  await createDatabase({ created_at: 1, schema_version: 1, freeze: { id: "reader", until } });
  expect(await query("SELECT count(*) FROM notes")).toMatchObject({ status: 200, body: { rows: [[2]] } });
  expect(await query("DELETE FROM notes")).toMatchObject({ status: 503 });
  await runInDurableObject(env.TENANT_DATABASE.getByName("shop"), async (_, { storage }) => {
    storage.kv.delete("freeze");
    storage.kv.put("import", { id: "loader", pieces: 1 });
  });
  expect(await query("SELECT count(*) FROM notes")).toMatchObject({ status: 503 });
});

import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { MOVED_TABLES } from "../../worker/src/store/library/moved.ts";
import { createTables } from "../support/empty-database.ts";

async function contentsOf(db: D1Database) {
  const objects = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\' ORDER BY name";
  const { results } = await db.prepare(objects).all<{ type: string; name: string }>();
  const tables = results.filter(({ type }) => type === "table").map(({ name }) => name);
  const contents = await db.batch(tables.map((name) => db.prepare(`SELECT * FROM ${name}`)));
  return { objects: results, rows: Object.fromEntries(tables.map((name, index) => [name, contents[index]?.results])) };
}

const database = async () => ({ main: await contentsOf(env.DB), catalog: await contentsOf(env.CATALOG) });

test("a test's databases have the tables and rows of the migrations", async () => {
  await reset();
  await env.DB.batch(env.TEST_MIGRATIONS.flatMap(({ queries }) => queries.map((query) => env.DB.prepare(query))));
  await env.CATALOG.batch(env.TEST_CATALOG_MIGRATIONS.flatMap(({ queries }) => queries.map((query) => env.CATALOG.prepare(query))));
  const migrated = await database();
  await reset();
  await createTables();
  await reset();
  await createTables();
  const created = await database();
  // Nothing is left to move.
  const moves = MOVED_TABLES.map((table_name) => ({ table_name, cursor: null, done_at: 1 }));
  expect(created.main).toEqual(migrated.main);
  expect(created.catalog).toEqual({
    ...migrated.catalog,
    rows: { ...migrated.catalog.rows, moves: expect.arrayContaining(moves) as unknown },
  });
});

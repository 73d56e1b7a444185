import { reset } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { createTables } from "../support/empty-database.ts";

async function database() {
  const objects = "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\' ORDER BY name";
  const { results } = await env.DB.prepare(objects).all<{ type: string; name: string }>();
  const tables = results.filter(({ type }) => type === "table").map(({ name }) => name);
  const contents = await env.DB.batch(tables.map((name) => env.DB.prepare(`SELECT * FROM ${name}`)));
  return { objects: results, rows: Object.fromEntries(tables.map((name, index) => [name, contents[index]?.results])) };
}

test("a test's database has the tables and rows of the migrations", async () => {
  await reset();
  await env.DB.batch(env.TEST_MIGRATIONS.flatMap(({ queries }) => queries.map((query) => env.DB.prepare(query))));
  const migrated = await database();
  await reset();
  await createTables();
  await reset();
  await createTables();
  expect(await database()).toEqual(migrated);
});

import { applyD1Migrations } from "cloudflare:test";
import type { D1Migration } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test } from "vitest";
import { sha256Hex } from "../../worker/src/lib/bytes.ts";
import { emptied } from "../support/worker.ts";
import { rows } from "../support/tenants/http.ts";
import { CATALOG_TABLES } from "../support/catalog-tables.ts";
import { RELEASES } from "./releases.ts";
import { migrate, migrationsOf } from "./support.ts";

beforeEach(emptied);

const OURS = "substr(m.name, 1, 7) <> 'sqlite_' AND substr(m.name, 1, 4) <> '_cf_' AND substr(m.name, 1, 3) <> 'd1_'";

/** Columns of each table, and the SQL of indexes and triggers. */
async function schema(): Promise<Record<string, unknown>> {
  const objects = await rows(`SELECT type, name, sql FROM sqlite_schema m WHERE ${OURS} ORDER BY name`);
  const columns = await rows(
    `SELECT m.name AS "table", c.name, c.type, c."notnull", c.dflt_value, c.pk FROM sqlite_schema m JOIN pragma_table_info(m.name) c
     WHERE m.type = 'table' AND ${OURS} ORDER BY m.name, c.cid`,
  );
  return {
    columns,
    others: objects.filter(({ type }) => type !== "table").map(({ name, sql }) => [name, String(sql).replaceAll(/\s+/gu, " ")]),
  };
}

const hashOf = async (text: string): Promise<string> => sha256Hex(Uint8Array.from(new TextEncoder().encode(text)));
const bare = (sql: string): string => sql.replaceAll(/--.*$/gmu, "").replaceAll(/\s+/gu, " ").trim();

/** First 16 digits of the SHA-256 of each released migration, without comments and white space. */
const RELEASED: Readonly<Record<string, string>> = {
  "0001_catalogue.sql": "27a72821c9e4c4f7",
  "0002_harvest.sql": "a87b31ea11b9937d",
  "0003_tenants.sql": "44dfd8dcc5635368",
  "0004_jobs.sql": "77202d516ffadf7d",
  "0005_events.sql": "6bec34c998d32958",
  "0006_webhooks.sql": "e84a29d72dfb94bb",
  "0007_backups.sql": "58832e64073428a2",
  "0008_provisioning.sql": "369ce8becb5461b0",
  "0009_signals.sql": "53e0a9257d24a171",
  "0010_webhook_tallies.sql": "27fd9922f7647b59",
  "0011_late_indexes.sql": "44cd44507960d6ca",
  "0012_backup_scratch.sql": "5e3d11c447bc24c2",
  "0013_share_mode.sql": "babc45cc612d100d",
};

/** The same for the catalog, which has its own database. */
const RELEASED_CATALOG: Readonly<Record<string, string>> = { "0001_catalog.sql": "721fb93ff79c4e03" };

describe("migrations", () => {
  test("never change after their release, because databases have run them", async () => {
    const hashesOf = async (migrations: readonly D1Migration[]) =>
      Object.fromEntries(
        await Promise.all(
          migrations.map(async ({ name, queries }) => [name, (await hashOf(bare(queries.join(";")))).slice(0, 16)] as const),
        ),
      );
    expect(await hashesOf(env.TEST_MIGRATIONS)).toEqual(RELEASED);
    expect(await hashesOf(env.TEST_CATALOG_MIGRATIONS)).toEqual(RELEASED_CATALOG);
  });

  test("give the catalog the tables and indexes that the main database had for it", async () => {
    await migrate();
    const sql = `SELECT name, sql FROM sqlite_schema WHERE tbl_name IN (SELECT value FROM json_each(?)) AND sql IS NOT NULL ORDER BY name`;
    const tables = JSON.stringify(CATALOG_TABLES);
    const schemaOf = async (db: D1Database) =>
      (await db.prepare(sql).bind(tables).all<{ name: string; sql: string }>()).results.map((each) => [each.name, bare(each.sql)]);
    const old = await schemaOf(env.DB);
    expect((await schemaOf(env.CATALOG)).filter(([name]) => name !== "books_by_age")).toEqual(old);
    expect(old.length).toBeGreaterThan(10);
  });

  test("lead to the same schema from every release and every migration", async () => {
    await migrate();
    const newest = await schema();
    const prefixes = env.TEST_MIGRATIONS.slice(1).map((_, index) => ({ migrations: index + 1, lacks: [] }));
    const starts = [...prefixes, ...RELEASES.filter(({ lacks }) => lacks.length > 0)];
    for (const start of starts) {
      await emptied();
      await applyD1Migrations(env.DB, migrationsOf(start));
      await migrate();
      expect(await schema()).toEqual(newest);
    }
  });

  // Migrations run before the new code. The old code continues to run until then, and after a rollback.
  test("only add to the schema, so that the old code still works", () => {
    const adds = [
      /^CREATE (UNIQUE )?INDEX /u,
      /^CREATE TABLE /u,
      /^CREATE TRIGGER /u,
      // The old code leaves the column out, so it needs a default or null.
      /^ALTER TABLE \w+ ADD COLUMN \w+ (?!.*NOT NULL(?!.*DEFAULT))/u,
      // Changes data that a migration has added itself.
      /^INSERT INTO webhook_tallies /u,
      /^UPDATE api_key_versions SET grace_ended_at = /u,
      /^UPDATE projects SET share_mode = /u,
    ];
    const others = env.TEST_MIGRATIONS.flatMap(({ queries }) => queries)
      .map(bare)
      .filter((query) => query !== "" && !adds.some((form) => form.test(query)));
    expect(others).toEqual([]);
  });

  test.each(RELEASES)("keep every statement of $name valid", async ({ statements }) => {
    await migrate();
    const invalid: string[] = [];
    for (const statement of statements) {
      // The number of parameters.
      const numbered = [...statement.matchAll(/\?(\d+)/gu)].map(([, number]) => Number(number));
      const count = numbered.length > 0 ? Math.max(...numbered) : (statement.match(/\?/gu)?.length ?? 0);
      const explain = async (db: D1Database) =>
        db
          .prepare(`EXPLAIN ${statement}`)
          .bind(...Array.from({ length: count }, () => null))
          .all();
      try {
        // A statement on the catalog is valid there only.
        await explain(env.DB).catch(async () => explain(env.CATALOG));
      } catch (error) {
        invalid.push(`${statement}: ${String(error)}`);
      }
    }
    expect(invalid).toEqual([]);
    expect(statements.length).toBeGreaterThan(5);
  });
});

/** The ledger's own tables after an upgrade from each release. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, test } from "vitest";
import { fault } from "../library/support.ts";
import { freshStart, isbns, ledger, post, quotaStatus } from "../support/worker.ts";
import { RELEASES } from "./releases.ts";
import { fillLedger, upgradedFrom } from "./support.ts";

beforeEach(async () => freshStart());

/** Columns of each table, and the SQL of each index. */
async function tables(): Promise<unknown> {
  return runInDurableObject(ledger(), async (_, { storage: { sql } }) => {
    const objects = sql
      .exec<{ type: string; name: string; sql: string }>("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
      .toArray();
    return objects
      .filter(({ name }) => !name.startsWith("_cf_"))
      .map(({ type, name, sql: text }) => ({
        name,
        is: type === "table" ? sql.exec(`SELECT name, type, "notnull", dflt_value, pk FROM pragma_table_info('${name}')`).toArray() : text,
        checks: /CHECK \(.*\)/u.exec(text)?.[0] ?? null,
      }))
      .toSorted((a, b) => a.name.localeCompare(b.name));
  });
}

describe("the ledger's tables", () => {
  test("are the same after an upgrade as in a new installation", async () => {
    await quotaStatus();
    const newest = await tables();
    for (const { ledger: statements } of RELEASES) {
      await fillLedger(statements);
      expect(await tables()).toEqual(newest);
    }
  });

  test("are migrated once, and later writes survive the next start", async () => {
    const [first] = RELEASES;
    if (first === undefined) throw new Error("no recording found");
    await fillLedger(first.ledger);
    await post("/api/quota/reservations/expired-1/commit", { calls: 9 });
    const { used } = await quotaStatus();
    await evictDurableObject(ledger());
    expect((await quotaStatus()).used).toBe(used);
    const steps = await runInDurableObject(ledger(), async (_, { storage }) => storage.sql.exec("SELECT step FROM migrations").toArray());
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  test("keep an unknown price if the release did not record that the provider counts", async () => {
    const [first] = RELEASES;
    if (first === undefined) throw new Error("no recording found");
    const withoutPrice = first.ledger.map((statement) => statement.replace(/"learnedPrice":\{[^}]*\}/u, '"learnedPrice":null'));
    await upgradedFrom({ ...first, ledger: withoutPrice });
    const { used } = await quotaStatus();
    await fault({ kind: "missing_headers", times: 0, path: "/books" });
    await fault({ kind: "status", status: 404, times: 0, path: "/key" });
    expect(await post("/api/enrich/batch-direct", { isbns: isbns(500, 20) })).toMatchObject({ status: 200, body: { api_calls: 20 } });
    expect(await quotaStatus()).toMatchObject({ used: used + 20, upstream: { bulk_billing: "unknown" } });
  });
});

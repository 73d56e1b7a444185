/** The size of both databases in GET /metrics. */
import { env } from "cloudflare:workers";
import { beforeEach, expect, test, vi } from "vitest";
import { freshStart, get, setClock } from "../../support/worker.ts";

beforeEach(async () => freshStart("2031-05-14T03:03:11Z"));

/** Values by name and labels. */
async function metrics(): Promise<Record<string, number>> {
  const { body } = await get<string>("/metrics");
  const lines = body.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ") + 1))]));
}

test("shows the size of each database, also while the other one is unavailable", async () => {
  const size = async (db: D1Database): Promise<number> => (await db.prepare("SELECT 1").run()).meta.size_after;
  const [main, catalog] = [await size(env.DB), await size(env.CATALOG)];
  expect(await metrics()).toMatchObject({
    'qc_database_size_bytes{database="main"}': main,
    'qc_database_size_bytes{database="catalog"}': catalog,
    'coordinator_source_up{source="catalog"}': 1,
  });
  await setClock("2031-05-14T03:05:11Z");
  vi.spyOn(env.CATALOG, "prepare").mockImplementation(() => {
    throw new Error("the catalog is unavailable");
  });
  const withoutCatalog = await metrics();
  vi.restoreAllMocks();
  expect(withoutCatalog).toMatchObject({
    'coordinator_source_up{source="catalog"}': 0,
    'coordinator_source_up{source="d1"}': 1,
    'qc_database_size_bytes{database="main"}': main,
  });
  expect(Object.keys(withoutCatalog).filter((name) => name === `qc_database_size_bytes{database="catalog"}`)).toEqual([]);
});

import { beforeEach, describe, expect, test } from "vitest";
import { freshStart } from "../support/worker.ts";
import { makeOrganization, makeProject } from "../support/tenants/http.ts";
import { objectOf, query, rowsOf } from "./support.ts";

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  await makeProject("shop");
});

describe("a database", () => {
  test("is created once by ten concurrent calls", async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, async () => objectOf("shop").create()));
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
  });

  test("is created once by two consecutive calls", async () => {
    expect(await objectOf("shop").state()).toMatchObject({ createdAt: null, schemaVersion: 0, frozen: null, importing: null });
    expect(await objectOf("shop").create()).toEqual({ created: true, schemaVersion: 0 });
    expect(await objectOf("shop").create()).toEqual({ created: false, schemaVersion: 0 });
    expect(await objectOf("shop").state()).toMatchObject({ createdAt: Date.parse("2031-05-14T14:03:11Z") });
  });

  test("applies each schema version once, in order and completely", async () => {
    const shop = objectOf("shop");
    expect(await shop.migrate(2, ["CREATE TABLE b(x)"])).toEqual({ result: "out_of_order", schemaVersion: 0 });
    expect(await shop.migrate(1, ["CREATE TABLE a(x)", "CREATE TABLE a(x)"])).toEqual({
      result: "failed",
      message: "table a already exists",
    });
    expect(await shop.migrate(1, ["CREATE TABLE a(x)"])).toEqual({ result: "migrated", schemaVersion: 1 });
    expect(await shop.migrate(1, ["CREATE TABLE a(x)"])).toEqual({ result: "already", schemaVersion: 1 });
    expect(await shop.migrate(2, ["CREATE TABLE b(x)"])).toEqual({ result: "migrated", schemaVersion: 2 });
    expect((await query("SELECT name FROM sqlite_schema WHERE name IN ('a', 'b')")).body).toMatchObject({
      schema_version: 2,
      rows: [["a"], ["b"]],
    });
  });

  test("is empty after destroy, and can be created again", async () => {
    await objectOf("shop").migrate(1, ["CREATE TABLE a(x)"]);
    await objectOf("shop").destroy();
    expect(await objectOf("shop").state()).toMatchObject({ createdAt: null, schemaVersion: 0 });
    expect(await objectOf("shop").create()).toEqual({ created: true, schemaVersion: 0 });
    expect(await rowsOf("SELECT count(*) FROM sqlite_schema WHERE substr(name, 1, 4) <> '_cf_'")).toEqual([[0]]);
  });
});

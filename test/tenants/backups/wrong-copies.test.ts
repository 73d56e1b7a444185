/** A database that loads wrong content. Its answers prove nothing. The comparison with the source must find the difference. */
import { introspectWorkflow } from "cloudflare:test";
import type { WorkflowIntrospector } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { ImportAnswer, TenantDatabaseMethods } from "../../../worker/src/tenant-database/index.ts";
import { ended } from "../../jobs/support.ts";
import { freshStart, post, withoutTheirJobs } from "../../support/worker.ts";
import { ask as queried, objectOf, run } from "../../tenant-database/support.ts";
import { makeOrganization, makeProject, right } from "../../support/tenants/http.ts";
import { RELEASED, backUp, resourcesOf, restoreOf } from "./support.ts";
import type { Backup, Restore } from "./support.ts";

let workflows: WorkflowIntrospector;
let backup: Backup;
beforeAll(async () => {
  await freshStart();
  workflows = await introspectWorkflow(env.JOBS);
  await workflows.modifyAll(async (instance) => instance.disableRetryDelays());
  await makeOrganization("org");
  await makeProject("shop");
  await run("shop", "CREATE TABLE t(x)", "CREATE INDEX by_x ON t(x)", "INSERT INTO t VALUES ('first'), ('other')");
  ({ backup } = await backUp("shop"));
});
beforeEach(withoutTheirJobs);
afterEach(() => void vi.restoreAllMocks());
afterAll(async () => workflows.dispose());

type Import = TenantDatabaseMethods["importPart"];
type Finish = TenantDatabaseMethods["finishImport"];

/** Replaces methods of the databases of these names. `real` does the work. */
function replace(
  isWrong: (name: string) => boolean,
  wrong: {
    readonly importPart?: (real: Import, ...given: Parameters<Import>) => Promise<ImportAnswer>;
    readonly finishImport?: (real: Finish, ...given: Parameters<Finish>) => Promise<ImportAnswer>;
  },
): void {
  const byName = env.TENANT_DATABASE.getByName.bind(env.TENANT_DATABASE);
  vi.spyOn(env.TENANT_DATABASE, "getByName").mockImplementation((name, options) => {
    const stub = byName(name, options);
    if (!isWrong(name)) return stub;
    const methods = stub as unknown as TenantDatabaseMethods;
    return new Proxy(stub, {
      get(target, member) {
        const other = Reflect.get(wrong, member) as ((...given: unknown[]) => unknown) | undefined;
        const real = Reflect.get(methods, member) as unknown;
        if (typeof real !== "function") return real;
        const call = async (...given: unknown[]): Promise<unknown> => Reflect.apply(real, target, given) as Promise<unknown>;
        return other === undefined ? call : async (...given: unknown[]) => other(call, ...given);
      },
    });
  });
}

const changed =
  (change: (sql: string) => string) =>
  async (real: Import, id: string, piece: number, sql: string, isLines?: boolean): Promise<ImportAnswer> => {
    const other = change(sql);
    expect(other).not.toBe(sql);
    return real(id, piece, other, isLines);
  };

const linesWithout = (part: string) => (sql: string) =>
  sql
    .split("\n")
    .filter((line) => !line.includes(part))
    .join("\n");

const WRONG = [
  {
    title: "loads nothing and reports success",
    methods: { importPart: async (_: Import, __: string, piece: number) => ({ result: "ready", pieces: piece + 1 }) as const },
    error: /^The restored copy differs: the schema differs; table t is missing/u,
  },
  {
    title: "loads nothing and answers with something else",
    methods: { importPart: async () => ({ result: "<html>" }) as unknown as ImportAnswer },
    error: /^The restored copy differs: the schema differs; table t is missing/u,
  },
  {
    title: "changes a value",
    methods: { importPart: changed((sql) => sql.replace("first", "FIRST")) },
    error: /^The restored copy differs: the rows of table t differ\.$/u,
  },
  {
    title: "loads a row twice",
    methods: { importPart: changed((sql) => sql.replace(/^INSERT INTO "t".*$/mu, (row) => `${row}\nINSERT INTO "t" VALUES ('first');`)) },
    error: /^The restored copy differs: table t has 3 rows instead of 2\.$/u,
  },
  {
    title: "omits an index",
    methods: { importPart: changed(linesWithout("CREATE INDEX")) },
    error: /^The restored copy differs: the schema differs\.$/u,
  },
  {
    title: "records another schema version",
    methods: { finishImport: async (real: Finish, id: string, version: number, freeze?: boolean) => real(id, version + 1, freeze) },
    error: /^The restored copy differs: schema version 1 instead of 0\.$/u,
  },
  {
    title: "never opens after the import",
    methods: { finishImport: async () => ({ result: "<html>" }) as unknown as ImportAnswer },
    error: /was written to/u,
  },
];

async function restoreInto(project_id: string): Promise<Restore> {
  const { restore } = right(await post<{ restore: Restore }>(`/api/projects/shop/backups/${backup.id}/restore`, { project_id }));
  await ended(restore.job_id);
  return restoreOf(project_id);
}

describe.each(WRONG.map((each, index) => ({ ...each, copy: `copy-${index}` })))("a database that $title", ({ methods, error, copy }) => {
  test("fails the restore and is emptied, and the same request then restores the content", async () => {
    replace((name) => name === copy, methods);
    expect(await restoreInto(copy)).toMatchObject({ status: "failed", error: expect.stringMatching(error) as string });
    expect(await objectOf(copy).state()).toMatchObject({ createdAt: null, frozen: null, importing: null });
    vi.restoreAllMocks();
    withoutTheirJobs();
    expect(await restoreInto(copy)).toMatchObject({ status: "completed", attempt: 2 });
    expect(await queried(copy, "SELECT x FROM t ORDER BY x")).toMatchObject({ rows: [["first"], ["other"]] });
  });

  test("fails the backup, which is never verified", async () => {
    replace((name) => name.startsWith("scratch:"), methods);
    const { backup: failed } = await backUp("shop");
    expect(failed).toMatchObject({ status: "failed", sha256: null, error: expect.stringMatching(error) as string });
    expect(await resourcesOf("shop", failed.job_id)).toEqual(RELEASED);
  });
});

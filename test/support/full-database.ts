/**
 * A D1 that is full: it refuses statements that store anything, as the platform does at 10 GB. It still reads and deletes. A transaction that
 * deletes first may store then.
 */
import { env } from "cloudflare:workers";
import { vi } from "vitest";

const STORES = /^\s*(WITH\b[\s\S]*?\b)?(INSERT|UPDATE|REPLACE)\b/iu;
const RUNS = new Set(["all", "first", "run", "raw"]);

/** `isFull` runs before every statement. Lasts until the mocks are restored, for requests, crons and jobs. */
export function fillDatabase(isFull: () => boolean | Promise<boolean>, db = env.DB): void {
  const natives = new WeakMap<object, { readonly native: D1PreparedStatement; readonly sql: string }>();
  const prepare = db.prepare.bind(db);
  const batch = db.batch.bind(db);
  const refuseIfFull = async (...sqls: readonly string[]): Promise<void> => {
    const [stores, deletes] = [sqls.findIndex((sql) => STORES.test(sql)), sqls.findIndex((sql) => /^\s*DELETE\b/iu.test(sql))];
    const hasRoom = stores === -1 || (deletes !== -1 && deletes < stores);
    if (!hasRoom && (await isFull())) throw new Error("D1_ERROR: Exceeded maximum DB size: SQLITE_FULL");
  };
  const wrapped = (native: D1PreparedStatement, sql: string): D1PreparedStatement => {
    const proxy = new Proxy(native, {
      get(target, name) {
        if (name === "bind") return (...values: unknown[]) => wrapped(target.bind(...values), sql);
        const member = Reflect.get(target, name) as (...given: unknown[]) => Promise<unknown>;
        if (!RUNS.has(String(name))) return member;
        return async (...given: unknown[]) => {
          await refuseIfFull(sql);
          return Reflect.apply(member, target, given);
        };
      },
    });
    natives.set(proxy, { native, sql });
    return proxy;
  };
  vi.spyOn(db, "prepare").mockImplementation((sql) => wrapped(prepare(sql), sql));
  vi.spyOn(db, "batch").mockImplementation(async <Row>(statements: D1PreparedStatement[]) => {
    const known = statements.map((each) => natives.get(each)).filter((each) => each !== undefined);
    await refuseIfFull(...known.map(({ sql }) => sql));
    return batch<Row>(known.map(({ native }) => native));
  });
}

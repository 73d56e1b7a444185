/** A database that counts the rows its statements read, to measure the cost of large tables. */
import { env } from "cloudflare:workers";
import { callWith } from "../routes/support.ts";
import type { Reply } from "../routes/support.ts";
import { ADMIN_TOKEN } from "../support/worker.ts";

interface Metered {
  readonly db: D1Database;
  /** Total until now. */
  readonly rowsRead: () => number;
}

export function meteredDb(): Metered {
  let read = 0;
  const natives = new WeakMap<object, D1PreparedStatement>();
  const counted = <Row>(result: D1Result<Row>): D1Result<Row> => {
    read += result.meta.rows_read;
    return result;
  };
  const statement = (native: D1PreparedStatement): D1PreparedStatement => {
    const proxy = new Proxy(native, {
      get(target, name) {
        if (name === "bind") return (...values: unknown[]) => statement(target.bind(...values));
        if (name === "first") return async () => counted(await target.all()).results[0] ?? null;
        return async () => counted(await target.all());
      },
    });
    natives.set(proxy, native);
    return proxy;
  };
  const db = new Proxy(env.DB, {
    get(target, name) {
      if (name === "prepare") return (sql: string) => statement(target.prepare(sql));
      if (name !== "batch") return (Reflect.get(target, name) as CallableFunction).bind(target) as unknown;
      return async (statements: D1PreparedStatement[]) =>
        (await target.batch(statements.map((each) => natives.get(each) ?? each))).map(counted);
    },
  });
  return { db, rowsRead: () => read };
}

/** One GET as the admin, or with a key, with the rows that it read. */
export async function getMetered(path: string, token = ADMIN_TOKEN): Promise<Reply & { readonly rowsRead: number }> {
  const { db, rowsRead } = meteredDb();
  const reply = await callWith({ DB: db }, path, { headers: { authorization: `Bearer ${token}` } });
  return { ...reply, rowsRead: rowsRead() };
}

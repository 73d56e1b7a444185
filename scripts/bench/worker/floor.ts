/** Minimal contenders: one statement in a Durable Object, and read-add-write in KV, which loses updates. */
import { DurableObject } from "cloudflare:workers";

interface Answer {
  readonly granted: boolean;
  readonly used: number;
}

/** Minimum for an exact count, which needs at least one write. One object per key, so that each round starts at 0. */
export class OneStatement extends DurableObject {
  readonly #sql = this.ctx.storage.sql;

  constructor(ctx: DurableObjectState, env: object) {
    super(ctx, env);
    this.#sql.exec("CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY, used INTEGER NOT NULL)");
    this.#sql.exec("INSERT INTO counter VALUES (1, 0) ON CONFLICT DO NOTHING");
  }

  async take(calls: number, limit: number): Promise<Answer> {
    const sql = "UPDATE counter SET used = used + ?1 WHERE used + ?1 <= ?2 RETURNING used";
    const row = this.#sql.exec<{ used: number }>(sql, calls, limit).toArray()[0];
    return { granted: row !== undefined, used: row?.used ?? limit };
  }
}

export async function takeFromObject(namespace: DurableObjectNamespace<OneStatement>, key: string, limit: number): Promise<Response> {
  return respond(await namespace.getByName(key).take(1, limit));
}

export async function takeFromKv(kv: KVNamespace, key: string, limit: number): Promise<Response> {
  const used = Number((await kv.get(key)) ?? 0);
  if (used >= limit) return respond({ granted: false, used });
  await kv.put(key, String(used + 1));
  return respond({ granted: true, used: used + 1 });
}

function respond(answer: Answer): Response {
  return Response.json(answer, { status: answer.granted ? 201 : 429 });
}

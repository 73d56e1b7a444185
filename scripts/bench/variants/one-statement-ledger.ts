/** Variant of quota/ledger.ts: one statement instead of the transaction. It reads the status once and reuses it. */
import { QuotaLedger as RealLedger } from "product/quota/ledger.ts";
import type { EmptyLedger } from "product/quota/ledger.ts";
import type { QuotaStatus, ReserveAnswer, ReserveRequest } from "product/quota/types.ts";

export type { EmptyLedger };

export class QuotaLedger extends RealLedger {
  #status: QuotaStatus | null = null;

  constructor(...[ctx, env]: ConstructorParameters<typeof RealLedger>) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS counter (id INTEGER PRIMARY KEY, used INTEGER NOT NULL)");
    ctx.storage.sql.exec("INSERT INTO counter VALUES (1, 0) ON CONFLICT DO NOTHING");
  }

  override async reserve({ id, cost, caller, ttlSeconds = 60 }: ReserveRequest): Promise<ReserveAnswer | EmptyLedger> {
    const status = this.#status ?? (await super.status({ own: caller }));
    if ("empty" in status) return status;
    this.#status = status;
    if (!("calls" in cost)) throw new Error("The benchmark only reserves calls");
    const sql = "UPDATE counter SET used = used + ?1 WHERE used + ?1 <= ?2 RETURNING used";
    const [row] = this.ctx.storage.sql.exec(sql, cost.calls, status.safety_limit).toArray();
    if (row === undefined) throw new Error("The benchmark exceeded the limit");
    const now = Date.now();
    const reservation = { id, calls: cost.calls, expiresAt: now + ttlSeconds * 1_000, startAt: now, decidedAt: now, probe: false };
    return { result: "granted", reservation, status };
  }
}

/** The database as it is, whatever strikes: what a flow's own words are taken from. Import it before any trap is laid. */
import { env } from "cloudflare:workers";

const prepare = env.DB.prepare.bind(env.DB);

/** One number. */
export async function numberOf(sql: string, ...values: unknown[]): Promise<number> {
  const row = await prepare(sql)
    .bind(...values)
    .first<Record<string, number>>();
  return Object.values(row ?? {})[0] ?? 0;
}

/** Two minutes of provider calls: reservations in every state, a learned price and a half-finished harvest. */
import { call, isbnNumber, post, put } from "../../support/worker.ts";
import { right } from "../../support/tenants/http.ts";
import type { Body } from "../../support/tenants/http.ts";

export const BEGUN_AT = "2031-05-14T14:00:00Z";
export const TWO_MINUTES_LATER = "2031-05-14T14:02:00Z";

const reserve = async (id: string, calls: number, more: Body = {}): Promise<void> => {
  const body = { id, calls, caller: "cron.harvest", priority: "background", ttl_seconds: 3_600, ...more };
  right(await post("/api/quota/reservations", body));
};

export async function spend(): Promise<void> {
  right(await put("/api/quota/settings", { daily_limit: 14_000, safety_buffer: 1_500, background_floor: 700, rate_per_second: 0 }));
  right(await post("/api/enrich/batch-direct", { isbns: [1, 2, 3, 4].map((n) => isbnNumber(n)) }));
  right(await post("/api/authors/enrich-bibliography", { author_name: "Ursula K. Le Guin", max_pages: 1, page_size: 3 }));
  right(await put("/api/quota/usage", { used: 1_000 }));
  await reserve("committed-1", 60);
  right(await post("/api/quota/reservations/committed-1/commit", { calls: 50 }));
  await reserve("released-1", 30);
  right(await call("DELETE", "/api/quota/reservations/released-1"));
  await reserve("expired-1", 7, { ttl_seconds: 60 });
  await reserve("held-1", 40);
}

export async function runHarvest(): Promise<void> {
  right(await post("/api/harvest/targets", { isbns: [isbnNumber(50), isbnNumber(51)], priority: 5 }));
  right(await post("/api/harvest/run"));
  right(await post("/api/harvest/targets", { isbns: [isbnNumber(60), isbnNumber(61)], authors: ["Italo Calvino"], priority: 9 }));
}

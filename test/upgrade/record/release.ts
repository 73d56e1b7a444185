/**
 * The part of `npm run record-release` that runs in the Worker's runtime. It records the data of today's release in the format of ../recording.ts.
 * It runs like a test. If something fails, it writes nothing.
 */
import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test, vi } from "vitest";
import { signedIn } from "../../dashboard/support.ts";
import { freshStart, get, ledger, quotaStatus, setClock, withTheirJobs } from "../../support/worker.ts";
import { right } from "../../support/tenants/http.ts";
import { receiver } from "../../tenants/webhooks/support.ts";
import { RECORDED_AT } from "../recording.ts";
import type { Release } from "../recording.ts";
import { useProjects } from "./projects.ts";
import { rpcAnswers } from "./rpc.ts";
import { databaseRows, kvValues, ledgerStatements, objectsInHex } from "./stores.ts";
import { BEGUN_AT, runHarvest, spend, TWO_MINUTES_LATER } from "./upstream.ts";

/** Webhook messages: a warning, a completed backup and a rotated key. */
const MESSAGES = 3;

/** Collects the SQL statements that the product sends to either database from now on. */
function collectStatements(): () => string[] {
  const prepare = vi.spyOn(Object.getPrototypeOf(env.DB) as D1Database, "prepare");
  const bare = (sql: string): string => sql.replaceAll(/--.*$/gmu, "").replaceAll(/\s+/gu, " ").trim();
  return () => [...new Set(prepare.mock.calls.map(([sql]) => bare(sql)))].toSorted();
}

/** Waits until every message has arrived and no job runs, except sleeping ones. */
async function settle(received: readonly unknown[]): Promise<void> {
  await vi.waitFor(
    async () => {
      if (received.length < MESSAGES) throw new Error(`${received.length} of ${MESSAGES} messages have arrived`);
      for (const status of ["queued", "running"]) {
        const { jobs } = right(await get<{ jobs: unknown[] }>(`/api/jobs?status=${status}`));
        if (jobs.length > 0) throw new Error(`${jobs.length} jobs are ${status}`);
      }
    },
    { timeout: 20_000, interval: 50 },
  );
}

/** Creates the state after a crash: an event that was recorded but not dispatched. */
async function forgetDelivery(type: string): Promise<void> {
  const delivery = "(SELECT id FROM webhook_deliveries WHERE event_type = ?)";
  const { meta } = await env.DB.prepare("UPDATE events SET dispatched_at = NULL WHERE type = ? AND dispatched_at IS NOT NULL")
    .bind(type)
    .run();
  if (meta.changes !== 1) throw new Error(`${meta.changes} dispatched events have the type ${type} (expected 1)`);
  await env.DB.batch(
    [`DELETE FROM webhook_attempts WHERE delivery_id IN ${delivery}`, "DELETE FROM webhook_deliveries WHERE event_type = ?"].map((sql) =>
      env.DB.prepare(sql).bind(type),
    ),
  );
}

/** Waits until the ledger has published its snapshot. */
async function publish(): Promise<void> {
  await vi.waitFor(async () => {
    await runDurableObjectAlarm(ledger());
    const snapshot = await env.QUOTA_KV.get<{ status: { as_of: string } }>("snapshot:isbndb", "json");
    if (snapshot?.status.as_of !== RECORDED_AT) throw new Error(`the snapshot is of ${snapshot?.status.as_of ?? "no time"}`);
  });
}

test("records this release", async () => {
  await freshStart(BEGUN_AT);
  withTheirJobs();
  const received = receiver();
  const statements = collectStatements();

  await spend();
  await setClock(TWO_MINUTES_LATER);
  await quotaStatus();
  const rpc = await rpcAnswers();
  await runHarvest();
  const projects = await useProjects();
  const { cookie: session } = await signedIn();
  await settle(received);
  const sentStatements = statements();
  vi.restoreAllMocks();
  await forgetDelivery("backup.completed");

  vi.setSystemTime(new Date(RECORDED_AT));
  const status = await quotaStatus();
  await publish();
  const release: Release = {
    told: { ...projects, received: received.map(({ headers, body }) => ({ headers, body })), session, status },
    rpc,
    kv: await kvValues(),
    statements: sentStatements,
    d1: await databaseRows(env.DB),
    catalog: await databaseRows(env.CATALOG),
    ledger: await ledgerStatements(),
    r2: await objectsInHex(),
  };
  await expect(`${JSON.stringify(release, null, 2)}\n`).toMatchFileSnapshot(`../releases/${env.TEST_RELEASE}.json`);
});

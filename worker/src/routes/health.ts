/** Health of the service and its dependencies. */
import { z } from "@hono/zod-openapi";
import { createRouter } from "../http/index.ts";
import { PerBinding, Recent } from "../lib/recent.ts";
import { SECOND_MS } from "../lib/time.ts";
import { databaseAnswers } from "../store/database.ts";
import { answer, publicAccess, operations } from "./operation.ts";

const part = z.enum(["ok", "failing"]);
const health = z
  .object({ status: z.enum(["ok", "degraded"]), checks: z.object({ ledger: part, database: part, catalog: part }) })
  .openapi("Health");
export const healthRoutes = createRouter();

/** Anonymous checks read the database at most once a second per instance. */
const recentAnswers = new PerBinding((_: D1Database) => new Recent<boolean>(SECOND_MS));

operations(
  healthRoutes,
  "Service",
  publicAccess,
  [],
)("get", "/health", {
  summary: "Check the ledger and the databases",
  responses: { 200: answer("All respond", health), 503: answer("One does not respond", health) },
}).handle(async (c) => {
  const { quota, db, catalog, clock } = c.get("deps");
  const ledger = quota.getPublicStatus().then(
    ({ source }) => source === "ledger",
    () => false,
  );
  const [ledgerAnswers, database, shelves] = await Promise.all([
    ledger,
    recentAnswers.of(db.binding).get(clock(), async () => databaseAnswers(db, "projects")),
    recentAnswers.of(catalog.binding).get(clock(), async () => databaseAnswers(catalog, "moves")),
  ]);
  const checks = {
    ledger: ledgerAnswers ? ("ok" as const) : ("failing" as const),
    database: database ? ("ok" as const) : ("failing" as const),
    catalog: shelves ? ("ok" as const) : ("failing" as const),
  };
  c.header("Cache-Control", "no-store");
  return ledgerAnswers && database && shelves
    ? c.json({ status: "ok" as const, checks }, 200)
    : c.json({ status: "degraded" as const, checks }, 503);
});

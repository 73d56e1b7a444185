/** Health of the service and its dependencies. */
import { z } from "@hono/zod-openapi";
import { createRouter } from "../http/index.ts";
import { databaseAnswers } from "../store/database.ts";
import { answer, publicAccess, operations } from "./operation.ts";

const part = z.enum(["ok", "failing"]);
const health = z.object({ status: z.enum(["ok", "degraded"]), checks: z.object({ ledger: part, database: part }) }).openapi("Health");
export const healthRoutes = createRouter();

operations(
  healthRoutes,
  "Service",
  publicAccess,
  [],
)("get", "/health", {
  summary: "Check the ledger and the database",
  responses: { 200: answer("All respond", health), 503: answer("One does not respond", health) },
}).handle(async (c) => {
  const { quota, db } = c.get("deps");
  const ledger = quota.getStatus({ view: { own: null } }).then(
    ({ source }) => source === "ledger",
    () => false,
  );
  const [ledgerAnswers, database] = await Promise.all([ledger, databaseAnswers(db)]);
  const checks = {
    ledger: ledgerAnswers ? ("ok" as const) : ("failing" as const),
    database: database ? ("ok" as const) : ("failing" as const),
  };
  c.header("Cache-Control", "no-store");
  return ledgerAnswers && database ? c.json({ status: "ok" as const, checks }, 200) : c.json({ status: "degraded" as const, checks }, 503);
});

import { afterAll, expect, it } from "vitest";
import { Coordinator } from "../support/node/coordinator.ts";

const coordinator = new Coordinator();
afterAll(async () => coordinator.stop());

it("npm start -- --strict-platform enforces the limits of a plan, and names the exceeded one", async () => {
  const command = await coordinator.start("--strict-platform", "--plan=free", "--no-demo", "--logs");
  const headers = { authorization: `Bearer ${coordinator.token}`, "content-type": "application/json" };
  const body = JSON.stringify({ isbns: ["9780132350884"] });
  const answer = await fetch(`${coordinator.url}/api/enrich/batch-direct`, { method: "POST", headers, body });
  expect({ status: answer.status, body: await answer.json() }).toMatchObject({ status: 200, body: { enriched: 1 } });

  // The free plan cannot run housekeeping, which uses more than 50 statements.
  await fetch(`${coordinator.url}/api/jobs`, { method: "POST", headers, body: JSON.stringify({ type: "housekeeping", payload: {} }) });
  await command.printed("too many API requests by single worker invocation (platform limit d1_statements_per_invocation: 50, got 51)");
});

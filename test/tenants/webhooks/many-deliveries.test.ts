/** A sweep that suspends 2,000 projects, with a Workflows binding that limits creations as the platform does. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createDeps } from "../../../worker/src/deps.ts";
import { JobQueue } from "../../../worker/src/jobs/enqueue.ts";
import { JobRelay } from "../../../worker/src/jobs/relay.ts";
import { dispatchEvents } from "../../../worker/src/tenants/webhooks/dispatch.ts";
import { strictWorkflows } from "../../support/strict-workflows.ts";
import type { StrictWorkflows } from "../../support/strict-workflows.ts";
import { makeOrganization, makeProject } from "../../support/tenants/http.ts";
import { freshStart } from "../../support/worker.ts";
import { makeWebhook } from "./support.ts";

const PROJECTS = 2_000;
const TICK_SECONDS = 300;

const clock = () => Date.now();
/** The clock moves instead of waiting. */
const sleep = async (ms: number): Promise<void> => void vi.setSystemTime(Date.now() + ms);

beforeEach(async () => {
  await freshStart();
  await makeOrganization("org");
  await makeProject("shop");
  await makeWebhook();
  const events = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${PROJECTS})
    INSERT INTO events (id, type, project_id, data, created_at) SELECT 'e' || i, 'project.suspended', 'shop', '{}', ? FROM n`;
  await env.DB.prepare(events).bind(Date.now()).run();
});
afterEach(() => void vi.restoreAllMocks());

/**
 * Dispatches as the sweep's end does. Then housekeeping relays every 5 minutes until each delivery has an instance. Returns the seconds until
 * the last instance was created.
 */
async function deliverAll({ binding, created }: StrictWorkflows, beforeRelay = (): void => undefined): Promise<number> {
  const options = { db: env.DB, workflow: binding, clock, sleep };
  const began = Date.now();
  await dispatchEvents({ ...createDeps(env, clock), jobs: new JobQueue(options) });
  beforeRelay();
  for (let tick = 1; created.size < PROJECTS && tick <= 12; tick += 1) {
    vi.setSystemTime(Math.max(Date.now(), began + tick * TICK_SECONDS * 1_000));
    await new JobRelay(options).relay();
  }
  return (Math.max(...created.values()) - began) / 1_000;
}

describe("the last of 2,000 deliveries starts", () => {
  test("within a minute", async () => {
    const workflows = strictWorkflows(clock);
    expect(await deliverAll(workflows)).toBeLessThan(60);
    expect(workflows.created.size).toBe(PROJECTS);
  });

  test("in the next housekeeping, if the platform omits half of the creations", async () => {
    let omitting = true;
    const workflows = strictWorkflows(clock, (id) => omitting && /[0-7]$/u.test(id));
    const seconds = await deliverAll(workflows, () => {
      expect(workflows.created.size).toBeLessThan(PROJECTS * 0.6);
      omitting = false;
    });
    expect(seconds).toBeLessThan(2 * TICK_SECONDS + 60);
    expect(workflows.created.size).toBe(PROJECTS);
  });
});

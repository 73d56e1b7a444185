/** The door of the clock. */
import { createScheduledController } from "cloudflare:test";
import { vi } from "vitest";
import worker from "../../worker/src/index.ts";
import { cron } from "./cells/cron.ts";
import { faultMatrix } from "./harness/index.ts";
import { NotedInstances } from "./harness/noted-instances.ts";
import { numberOf } from "./harness/untrapped.ts";

const HARVEST = "*/30 * * * *";
const HALF_AN_HOUR_MS = 30 * 60 * 1_000;
const FIRST = Date.parse("2031-05-14T01:00:00Z");

/** Long enough for whoever wrote the job down to be given up. */
const AGAIN_AFTER_MS = 11_000;

/** Instances that there were before the first tick of each cell. */
const ticked = new Map<number, number>();
const instances = new NotedInstances();
const some = (count: number, of: string): string => `${count === 0 ? "no" : count} ${of}`;

faultMatrix({
  table: cron,
  trap: (traps) => instances.trap(traps),
  use: async (n, { bindings }) => {
    const before = ticked.get(n) ?? instances.count;
    if (ticked.has(n)) vi.setSystemTime(Date.now() + AGAIN_AFTER_MS);
    ticked.set(n, before);
    const scheduledTime = FIRST + n * HALF_AN_HOUR_MS;
    const tick = createScheduledController({ cron: HARVEST, scheduledTime: new Date(scheduledTime) });
    const taken = await worker.scheduled(tick, bindings).then(
      () => "acknowledged",
      (error: unknown) => `failed: ${error instanceof Error ? error.message : "?"}`,
    );
    const jobs = await numberOf("SELECT count(*) FROM jobs WHERE scheduled_for = ?", scheduledTime);
    return `${taken}; ${some(jobs, "job")}, ${some(instances.count - before, "instance")}`;
  },
});

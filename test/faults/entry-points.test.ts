/** Cron ticks, the metrics and the dashboard under faults. Each gets an answer or an error that names the cause. */
import { createScheduledController, runDurableObjectAlarm } from "cloudflare:test";
import { vi } from "vitest";
import worker from "../../worker/src/index.ts";
import { signedIn } from "../dashboard/support.ts";
import { cron } from "./cells/cron.ts";
import { newInstance } from "../support/bindings.ts";
import { metrics, operatorsPage, page, projectsPage } from "./cells/watching.ts";
import { faultMatrix } from "./harness/index.ts";
import type { World } from "./harness/index.ts";
import { RecordedInstances } from "./harness/recorded-instances.ts";
import { ledger, numberOf } from "./harness/stores.ts";
import { quantity } from "./words.ts";

const HARVEST = "*/30 * * * *";
const HALF_AN_HOUR_MS = 30 * 60 * 1_000;
const FIRST = Date.parse("2031-05-14T01:00:00Z");

/** After this time, a new job without an instance no longer counts as starting. */
const AGAIN_AFTER_MS = 11_000;

/** Number of instances before the first tick of each cell. */
const instancesBefore = new Map<number, number>();
const instances = new RecordedInstances();

faultMatrix({
  table: cron,
  wrap: (injector) => instances.wrap(injector),
  use: async (n, { bindings }) => {
    const before = instancesBefore.get(n) ?? instances.count;
    if (instancesBefore.has(n)) vi.setSystemTime(Date.now() + AGAIN_AFTER_MS);
    instancesBefore.set(n, before);
    const scheduledTime = FIRST + n * HALF_AN_HOUR_MS;
    const tick = createScheduledController({ cron: HARVEST, scheduledTime: new Date(scheduledTime) });
    const answer = await worker.scheduled(tick, bindings).then(
      () => "acknowledged",
      () => "not acknowledged",
    );
    const jobs = await numberOf("SELECT count(*) FROM jobs WHERE scheduled_for = ?", scheduledTime);
    return `${answer}, ${quantity(jobs, "job")}, ${quantity(instances.count - before, "instance")}`;
  },
});

/** The ledger has published a snapshot by then, and cached counts have expired. */
const LATER_MS = 61_000;

async function publish(): Promise<void> {
  vi.setSystemTime(Date.now() + LATER_MS);
  await runDurableObjectAlarm(ledger());
}

faultMatrix({
  table: metrics,
  arrange: publish,
  use: async (_, { send }) => {
    const { status, text } = await send("GET", "/metrics");
    const isUp = (source: string): string => (text.includes(`coordinator_source_up{source="${source}"} 1`) ? "up" : "down");
    return `${status}: ledger ${isUp("ledger")}, database ${isUp("d1")}, catalog ${isUp("catalog")}`;
  },
});

let cookie = "";

/** The notice above the status, and the text in place of the projects close to a cap. */
const SNAPSHOT_NOTICE = /this snapshot is .+ old/u;
const CAPS_UNKNOWN = /id="close"[\s\S]{0,500}?database/iu;

async function openPage({ send }: World, path: string): Promise<string> {
  const headers = { accept: "text/html", ...(cookie === "" ? {} : { cookie }) };
  const { status, text } = await send("GET", `https://coordinator.test${path}`, undefined, { token: null, headers });
  const notes = [
    ...(SNAPSHOT_NOTICE.test(text) ? ["marked as a snapshot"] : []),
    ...(CAPS_UNKNOWN.test(text) ? ["caps marked as unknown"] : []),
  ];
  return [`${status} page`, ...notes].join(", ");
}

faultMatrix({
  table: page,
  prepare: publish,
  use: async (_, world) => {
    // An instance shares the page's numbers for a second.
    newInstance();
    return openPage(world, "/");
  },
});

async function signIn(): Promise<void> {
  await publish();
  ({ cookie } = await signedIn());
}

faultMatrix({ table: operatorsPage, prepare: signIn, use: async (_, world) => openPage(world, "/") });
faultMatrix({ table: projectsPage, prepare: signIn, use: async (_, world) => openPage(world, "/projects") });

/** Other doors: the clock, and those who look on with a scraper or a browser. They are answered whatever fails, or told why not. */
import { createScheduledController, runDurableObjectAlarm } from "cloudflare:test";
import { vi } from "vitest";
import worker from "../../worker/src/index.ts";
import { signedIn } from "../dashboard/support.ts";
import { cron } from "./cells/cron.ts";
import { metrics, operatorsPage, page, projectsPage } from "./cells/watching.ts";
import { faultMatrix } from "./harness/index.ts";
import type { World } from "./harness/index.ts";
import { NotedInstances } from "./harness/noted-instances.ts";
import { ledger, numberOf } from "./harness/untrapped.ts";
import { some } from "./words.ts";

const HARVEST = "*/30 * * * *";
const HALF_AN_HOUR_MS = 30 * 60 * 1_000;
const FIRST = Date.parse("2031-05-14T01:00:00Z");

/** Long enough for whoever wrote the job down to be given up. */
const AGAIN_AFTER_MS = 11_000;

/** Instances that there were before the first tick of each cell. */
const ticked = new Map<number, number>();
const instances = new NotedInstances();

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

/** What the ledger publishes is there, and what an instance counted is too old. */
const LATER_MS = 61_000;

async function published(): Promise<void> {
  vi.setSystemTime(Date.now() + LATER_MS);
  await runDurableObjectAlarm(ledger());
}

faultMatrix({
  table: metrics,
  arrange: published,
  use: async (_, { ask }) => {
    const { status, text } = await ask("GET", "/metrics");
    const isUp = (source: string): string => (text.includes(`coordinator_source_up{source="${source}"} 1`) ? "up" : "down");
    return `${status}: ledger ${isUp("ledger")}, database ${isUp("d1")}`;
  },
});

let cookie = "";

async function look({ ask }: World, path: string): Promise<string> {
  const headers = { accept: "text/html", ...(cookie === "" ? {} : { cookie }) };
  const { status, text } = await ask("GET", `https://coordinator.test${path}`, undefined, { token: null, headers });
  const heading =
    /<h1[^>]*>([\s\S]*?)<\/h1>/u
      .exec(text)?.[1]
      ?.replaceAll(/<[^>]*>/gu, "")
      .trim() ?? "no page";
  const told = [
    ...(status === 200 ? [] : [`"${heading}"`]),
    ...(text.includes("Status comes from a snapshot") ? ["from the snapshot, and it says so"] : []),
    ...(text.includes("so nobody knows") ? ["who is close to a cap is said to be unknown"] : []),
  ];
  return [`${status} page`, ...told].join(", ");
}

faultMatrix({ table: page, prepare: published, use: async (_, world) => look(world, "/") });

async function signIn(): Promise<void> {
  await published();
  ({ cookie } = await signedIn());
}

faultMatrix({ table: operatorsPage, prepare: signIn, use: async (_, world) => look(world, "/") });
faultMatrix({ table: projectsPage, prepare: signIn, use: async (_, world) => look(world, "/projects") });

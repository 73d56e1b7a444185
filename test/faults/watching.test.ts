/** Those who look on: Prometheus, and people with a browser. They are answered whatever fails, or told why not. */
import { runDurableObjectAlarm } from "cloudflare:test";
import { vi } from "vitest";
import { signedIn } from "../dashboard/support.ts";
import { metrics, operatorsPage, page, projectsPage } from "./cells/watching.ts";
import { faultMatrix } from "./harness/index.ts";
import type { World } from "./harness/index.ts";
import { ledger } from "./harness/untrapped.ts";

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

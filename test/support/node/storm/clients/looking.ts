/** Clients that only read: the status, the metrics, the pages, their own usage. The results must never contradict each other. */
import type { Random } from "../random.ts";
import type { Storm } from "../storm.ts";
import { TENANT_NAMES } from "../tenants.ts";
import type { World } from "../world.ts";
import { ADMIN_TOKEN, METRICS_TOKEN } from "../workers.ts";

const PAGES = ["/", "/projects", "/jobs", "/harvest", "/signals", "/audit", "/projects/reported", "/projects/readers", "/projects/toggled"];

export async function look({ storm, tenants, cookie }: World, random: Random): Promise<void> {
  switch (
    random.weighted([["status", 5] as const, ["page", 2] as const, ["metrics", 1] as const, ["usage", 2] as const, ["history", 1] as const])
  ) {
    case "status":
      return lookAtStatus(storm);
    case "page":
      return lookAtPage(storm, cookie, random.pick(PAGES));
    case "metrics": {
      const answer = await storm.ask("metrics", { path: "/metrics", token: METRICS_TOKEN });
      if (answer !== null && answer.status !== 200) storm.journal.fault(`metrics: ${answer.status} ${answer.text.slice(0, 300)}`);
      return;
    }
    case "usage": {
      const tenant = tenants[random.pick(TENANT_NAMES.filter((name) => name !== "rotating"))];
      await storm.ask("own usage", { path: `/api/projects/${tenant.id}/usage`, token: tenant.key });
      return;
    }
    case "history":
      await storm.ask("history", { path: "/api/quota/history?days=2" });
  }
}

/** While limits only rise, reservations and usage must never exceed them. */
async function lookAtStatus(storm: Storm): Promise<void> {
  const answer = await storm.ask("status", { path: "/api/quota/status" });
  if (answer === null || answer.status !== 200 || answer.body["source"] !== "ledger") return;
  const [used, reserved, limit] = [answer.body["used"], answer.body["reserved"], answer.body["safety_limit"]].map(Number) as [
    number,
    number,
    number,
  ];
  if (used + reserved > limit) storm.journal.fault(`promised beyond the limit: ${used} used, ${reserved} reserved, of ${limit}`);
  const callers = answer.body["callers"] as readonly { used: number }[];
  const sum = callers.reduce((total, caller) => total + caller.used, 0);
  if (sum !== used) storm.journal.fault(`callers add up to ${sum}, ${used} are used`);
}

async function lookAtPage(storm: Storm, cookie: string, path: string): Promise<void> {
  const answer = await storm.ask("page", { path, token: null, headers: { cookie } });
  if (answer !== null && answer.status !== 200 && answer.status !== 503) storm.journal.fault(`page ${path}: ${answer.status}`);
}

/** The cookie of an admin's session. */
export async function signIn(storm: Storm): Promise<string> {
  const body = new URLSearchParams({ token: ADMIN_TOKEN, next: "/" });
  const init = { method: "POST", body, redirect: "manual" as const, headers: { origin: storm.product.url } };
  const response = await fetch(`${storm.product.url}/sign-in`, init);
  const [cookie = ""] = (response.headers.get("set-cookie") ?? "").split(";", 1);
  if (cookie === "") throw new Error(`the sign-in gave no session: ${response.status}`);
  return cookie;
}

/** What the administrator changes of projects: caps, keys, suspensions, and that there are any. */
import { vi } from "vitest";
import { postWith } from "../routes/support.ts";
import { addKey, organization, tenant } from "../support/tenants/keys.ts";
import { createKey, revokeKey } from "./cells/keys.ts";
import { caps, createProject } from "./cells/projects.ts";
import { suspend } from "./cells/suspensions.ts";
import { faultMatrix } from "./harness/index.ts";
import { NotedInstances } from "./harness/noted-instances.ts";
import { numberOf } from "./harness/untrapped.ts";
import { some, tell } from "./words.ts";

const instances = new NotedInstances();
/** Instances that there were before the first use of each cell. */
const begun = new Map<number, number>();

async function shop(): Promise<void> {
  await organization("acme");
  await tenant("shop", "acme");
}

faultMatrix({
  table: createProject,
  prepare: async () => {
    await organization("acme");
    // Projects are provisioned by their job here.
    vi.restoreAllMocks();
  },
  trap: (traps) => instances.trap(traps),
  use: async (n, { ask }) => {
    const id = `project-${n}`;
    const before = begun.get(n) ?? instances.count;
    begun.set(n, before);
    const reply = await ask("POST", "/api/projects", { id, organization_id: "acme", name: "Shop" });
    const key =
      reply.status < 400 ? ((reply.body["api_key"] as { key: string | null }).key === null ? ", without its key" : ", with its key") : "";
    const projects = await numberOf("SELECT count(*) FROM projects WHERE id = ?", id);
    const jobs = await numberOf("SELECT count(*) FROM jobs WHERE project_id = ?", id);
    const made = [some(projects, "project"), some(jobs, "job"), some(instances.count - before, "instance")];
    const there = made.filter((each) => !each.startsWith("no ")).join(", ");
    return `${tell(reply)}${key}; ${there === "" ? "nothing made" : there}`;
  },
});

faultMatrix({
  table: caps,
  prepare: shop,
  use: async (n, { ask }) => {
    const reply = await ask("PUT", "/api/projects/shop/caps", { function_invocations_per_day: 5_000 + n });
    const cap = await numberOf("SELECT value FROM caps WHERE project_id = 'shop' AND cap_type = 'function_invocations_per_day'");
    return `${tell(reply)}; ${cap === 5_000 + n ? "the cap holds" : "nothing changed"}`;
  },
});

faultMatrix({
  table: suspend,
  prepare: shop,
  arrange: async () => {
    // With what goes on beside its answer: that must not meet the fault.
    await postWith({}, "/api/projects/shop/reactivate", { reason: "next" });
  },
  use: async (_, { ask }) => {
    const reply = await ask("POST", "/api/projects/shop/suspend", { reason: "overdue" });
    const open = await numberOf("SELECT count(*) FROM suspensions WHERE project_id = 'shop' AND lifted_at IS NULL");
    const waiting = await numberOf("SELECT count(*) FROM events WHERE dispatched_at IS NULL");
    return `${tell(reply)}; ${open === 0 ? "not stopped" : "stopped"}; ${some(waiting, "event waits")}`;
  },
});

faultMatrix({
  table: createKey,
  prepare: async () => organization("acme"),
  arrange: async (n) => {
    await tenant(`shop-${n}`, "acme");
  },
  use: async (n, { ask }) => {
    const count = async (): Promise<number> => numberOf("SELECT count(*) FROM api_keys WHERE project_id = ?", `shop-${n}`);
    const before = await count();
    const reply = await ask("POST", `/api/projects/shop-${n}/keys`, { name: "more" });
    return `${tell(reply)}; ${some((await count()) - before, "key more")}`;
  },
});

let keyId = "";

faultMatrix({
  table: revokeKey,
  prepare: shop,
  arrange: async () => {
    ({ keyId } = await addKey("shop"));
  },
  use: async (_, { ask }) => {
    const reply = await ask("DELETE", `/api/projects/shop/keys/${keyId}`);
    const revoked = await numberOf("SELECT count(*) FROM api_keys WHERE id = ? AND revoked_at IS NOT NULL", keyId);
    return `${tell(reply)}; the key ${revoked === 0 ? "works" : "opens nothing"}`;
  },
});

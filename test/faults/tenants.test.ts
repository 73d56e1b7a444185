/** Changes to projects with the admin token: creation, caps, suspensions and keys. */
import { vi } from "vitest";
import { postWith } from "../routes/support.ts";
import { addKey, organization, tenant } from "../support/tenants/keys.ts";
import { createKey, revokeKey } from "./cells/keys.ts";
import { caps, createProject } from "./cells/projects.ts";
import { suspend } from "./cells/suspensions.ts";
import { faultMatrix } from "./harness/index.ts";
import { RecordedInstances } from "./harness/recorded-instances.ts";
import { numberOf } from "./harness/stores.ts";
import { quantity, resultOf } from "./words.ts";

const instances = new RecordedInstances();
/** Number of instances before the first use of each cell. */
const instancesBefore = new Map<number, number>();

async function createShop(): Promise<void> {
  await organization("acme");
  await tenant("shop", "acme");
}

faultMatrix({
  table: createProject,
  prepare: async () => {
    await organization("acme");
    // By default, a mock provisions new projects immediately. This flow needs the job.
    vi.restoreAllMocks();
  },
  wrap: (injector) => instances.wrap(injector),
  use: async (n, { send }) => {
    const id = `project-${n}`;
    const before = instancesBefore.get(n) ?? instances.count;
    instancesBefore.set(n, before);
    const reply = await send("POST", "/api/projects", { id, organization_id: "acme", name: "Shop" });
    const key =
      reply.status < 400 ? ((reply.body["api_key"] as { key: string | null }).key === null ? " without the key" : " with the key") : "";
    const projects = await numberOf("SELECT count(*) FROM projects WHERE id = ?", id);
    const jobs = await numberOf("SELECT count(*) FROM jobs WHERE project_id = ?", id);
    const made = [quantity(projects, "project"), quantity(jobs, "job"), quantity(instances.count - before, "instance")];
    const there = made.filter((each) => !each.startsWith("no ")).join(", ");
    return `${resultOf(reply)}${key}, ${there === "" ? "nothing created" : there}`;
  },
});

faultMatrix({
  table: caps,
  prepare: createShop,
  use: async (n, { send }) => {
    const reply = await send("PUT", "/api/projects/shop/caps", { function_invocations_per_day: 5_000 + n });
    const cap = await numberOf("SELECT value FROM caps WHERE project_id = 'shop' AND cap_type = 'function_invocations_per_day'");
    return `${resultOf(reply)}, ${cap === 5_000 + n ? "cap changed" : "unchanged"}`;
  },
});

faultMatrix({
  table: suspend,
  prepare: createShop,
  arrange: async () => {
    // Waits for the background work, which must not meet the fault.
    await postWith({}, "/api/projects/shop/reactivate", { reason: "next" });
  },
  use: async (_, { send }) => {
    const reply = await send("POST", "/api/projects/shop/suspend", { reason: "overdue" });
    const open = await numberOf("SELECT count(*) FROM suspensions WHERE project_id = 'shop' AND lifted_at IS NULL");
    const pending = await numberOf("SELECT count(*) FROM events WHERE dispatched_at IS NULL");
    return `${resultOf(reply)}, ${open === 0 ? "not suspended" : "suspended"}, ${quantity(pending, "pending event")}`;
  },
});

faultMatrix({
  table: createKey,
  prepare: async () => organization("acme"),
  arrange: async (n) => {
    await tenant(`shop-${n}`, "acme");
  },
  use: async (n, { send }) => {
    const count = async (): Promise<number> => numberOf("SELECT count(*) FROM api_keys WHERE project_id = ?", `shop-${n}`);
    const before = await count();
    const reply = await send("POST", `/api/projects/shop-${n}/keys`, { name: "more" });
    return `${resultOf(reply)}, ${quantity((await count()) - before, "new key")}`;
  },
});

let keyId = "";

faultMatrix({
  table: revokeKey,
  prepare: createShop,
  arrange: async () => {
    ({ keyId } = await addKey("shop"));
  },
  use: async (_, { send }) => {
    const reply = await send("DELETE", `/api/projects/shop/keys/${keyId}`);
    const revoked = await numberOf("SELECT count(*) FROM api_keys WHERE id = ? AND revoked_at IS NOT NULL", keyId);
    return `${resultOf(reply)}, key ${revoked === 0 ? "still valid" : "revoked"}`;
  },
});

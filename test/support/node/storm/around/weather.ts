/** External faults: the provider misbehaves, objects are evicted, the Worker dies. */
import type { Random } from "../random.ts";
import type { Storm } from "../storm.ts";

const KINDS: readonly (readonly [(random: Random) => object, number])[] = [
  [(random) => ({ kind: "status", status: random.pick([500, 502, 503]) }), 4],
  [() => ({ kind: "status", status: 503, headers: { "retry-after": "1" } }), 1],
  // Longer than the Worker waits: billed, but without a response.
  [() => ({ kind: "hang_after_billing", hang_ms: 2_600 }), 3],
  [() => ({ kind: "hang_before_billing", hang_ms: 300 }), 2],
  [() => ({ kind: "minute_quota", headers: { "retry-after": "1" } }), 1],
  [() => ({ kind: "malformed_json" }), 1],
  [() => ({ kind: "cut_off_json" }), 1],
  [() => ({ kind: "missing_headers" }), 1],
  [() => ({ kind: "too_large" }), 1],
  [() => ({ kind: "stale_count" }), 2],
  [() => ({ kind: "wrong_plan" }), 1],
  [() => ({ kind: "reset_connection" }), 3],
];

export async function misbehave(storm: Storm, random: Random): Promise<void> {
  // The fault is limited in time. Otherwise an unused fault would remain for all later clients.
  await storm.control("DELETE", "/faults");
  const fault = { ...random.weighted(KINDS)(random), times: random.whole(1, 3), after: random.whole(0, 3) };
  await storm.control("POST", "/faults", fault);
  await storm.control("PUT", "/settings", { latency_ms: random.chance(20) ? random.whole(50, 400) : random.whole(0, 20) });
  storm.journal.count("misbehaviors", fault.times);
}

export async function evict(storm: Storm, random: Random): Promise<void> {
  const project = random.pick(["readers", "tight", "toggled", "thrifty", ""]);
  const evicted = project === "" ? await storm.evict("QuotaLedger") : await storm.evict("TenantDatabase", project);
  if (evicted) storm.journal.count(project === "" ? "evictions of the ledger" : "evictions of tenants' databases");
}

/** The platform, too, moves objects to another machine during requests. */
export async function breakOff(storm: Storm): Promise<void> {
  while (!storm.product.running) await storm.pause(10);
  storm.journal.count("times that all objects were aborted");
  // The Worker may be killed in the meantime.
  await storm.abortObjects().catch(() => undefined);
}

export async function calm(storm: Storm): Promise<void> {
  await storm.control("DELETE", "/faults");
  await storm.control("PUT", "/settings", { latency_ms: 0 });
}

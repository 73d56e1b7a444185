/**
 * Work of the Worker that is in progress: requests, crons, runs of jobs and calls of Durable Objects. Loading this module starts the count. Test files share one
 * instance of it, so each file can wait for unfinished work of the previous file.
 */
import worker, { JobWorkflow, QuotaLedger, TenantDatabase } from "../../worker/src/index.ts";

/** A test may leave a request that never ends, such as one that waits for a database that hangs. */
const MAX_WAIT_MS = 3_000;

const inProgress = new Set<symbol>();

function count(target: object, name: string): void {
  const method: unknown = Reflect.get(target, name);
  if (typeof method !== "function") throw new Error(`Unknown method ${name}.`);
  const counted = new Proxy(method, {
    apply(original, self, given: unknown[]) {
      const result: unknown = Reflect.apply(original as (...values: unknown[]) => unknown, self, given);
      if (result instanceof Promise) {
        const work = Symbol(name);
        inProgress.add(work);
        const end = (): void => void inProgress.delete(work);
        result.then(end, end);
      }
      return result;
    },
  });
  Object.defineProperty(target, name, { value: counted, configurable: true, writable: true });
}

count(worker, "fetch");
count(worker, "scheduled");
count(JobWorkflow.prototype, "run");
// A reset does not clear a Durable Object that is still busy, and its rows would appear in the next test file. So calls of objects are counted too.
for (const { prototype } of [QuotaLedger, TenantDatabase]) {
  for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (name !== "constructor" && typeof value === "function") count(prototype, name);
  }
}

/** Waits until nothing is in progress. Returns whether it had to wait. */
export async function workEnded(): Promise<boolean> {
  if (inProgress.size === 0) return false;
  const until = performance.now() + MAX_WAIT_MS;
  while (inProgress.size > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 10));
  // The next file does not wait again for work that hangs.
  inProgress.clear();
  return true;
}

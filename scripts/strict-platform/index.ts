/** Makes a Worker run within Cloudflare's limits: wraps its bindings and its entry points in place. */
import { strictD1 } from "./d1.ts";
import { Invocation, runIn } from "./invocation.ts";
import type { InvocationKind } from "./invocation.ts";
import { strictKv } from "./kv.ts";
import { strictObjects, strictR2 } from "./other-bindings.ts";
import { replace, replaceInClass } from "./replace.ts";
import type { Method } from "./replace.ts";
import { strictSteps, strictWorkflow } from "./workflows.ts";

export { Invocation, runIn } from "./invocation.ts";
export type { InvocationKind } from "./invocation.ts";
export { PLANS } from "./limits.ts";
export { strictFetch } from "./other-bindings.ts";
export { platform } from "./platform.ts";

interface Bindings {
  readonly DB: D1Database;
  readonly CATALOG: D1Database;
  readonly QUOTA_KV: KVNamespace;
  readonly JOBS: object;
  readonly BACKUPS: R2Bucket;
  readonly QUOTA_LEDGER: object;
  readonly TENANT_DATABASE: object;
}

interface Product {
  /** The default export. */
  readonly worker: object;
  readonly workflows: readonly Class[];
  readonly durableObjects: readonly Class[];
}

interface Class {
  readonly prototype: object;
}

const wrapped = new WeakSet();

/** Wraps each binding once. */
export function strictBindings(env: Bindings): void {
  const once = (binding: object, wrap: (binding: object) => void): void => {
    if (wrapped.has(binding)) return;
    wrapped.add(binding);
    wrap(binding);
  };
  once(env.DB, strictD1);
  once(env.CATALOG, strictD1);
  once(env.QUOTA_KV, strictKv);
  once(env.JOBS, strictWorkflow);
  once(env.BACKUPS, strictR2);
  for (const name of ["QUOTA_LEDGER", "TENANT_DATABASE"] as const) once(env[name], (namespace) => strictObjects(namespace, name));
}

/** The error of a request whose client disconnected. No client receives it. */
export class ClientLeft extends Error {
  override readonly name = "ClientLeft";
}

/** Makes each entry point an invocation. */
export function strictEntryPoints({ worker, workflows, durableObjects }: Product): void {
  replace(
    worker,
    "fetch",
    (fetch) =>
      async (...given) =>
        request(fetch, given),
  );
  replace(
    worker,
    "scheduled",
    (scheduled) =>
      async (...given) =>
        runIn(new Invocation("cron"), async () => scheduled(...given)),
  );
  for (const { prototype } of workflows) {
    replaceInClass(prototype, "run", async (run, [event, steps]) => {
      const invocation = new Invocation("workflow");
      return runIn(invocation, async () => run(event, strictSteps(steps as object, invocation)));
    });
  }
  for (const { prototype } of durableObjects) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (name === "constructor" || typeof value !== "function") continue;
      replaceInClass(prototype, name, (method, given) => invoke("object", method, given));
    }
  }
}

const invoke = (kind: InvocationKind, method: Method, given: readonly unknown[]): unknown =>
  runIn(new Invocation(kind), () => method(...given));

async function request(fetch: Method, given: readonly unknown[]): Promise<unknown> {
  const { promise: left, reject } = Promise.withResolvers<never>();
  left.catch(() => undefined);
  const invocation = new Invocation("request", () => reject(new ClientLeft("The client disconnected.")));
  const [, , context] = given;
  if (typeof context === "object" && context !== null) {
    replace(context, "waitUntil", (waitUntil) => (work) => {
      invocation.waitUntil(work);
      waitUntil(work);
    });
  }
  return Promise.race([left, runIn(invocation, async () => fetch(...given))]);
}

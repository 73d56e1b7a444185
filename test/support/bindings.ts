/** The configured bindings. Loaded once, before any test file can change them. */
import { env } from "cloudflare:workers";
import { createDeps } from "../../worker/src/deps.ts";

const configured = { ...env };
const { QUOTA_KV: kv } = configured;

/** Empties the Worker's caches, like a new instance. It caches the quota for its KV binding, and services for its clock. */
export function newInstance(): void {
  const QUOTA_KV = {
    get: kv.get.bind(kv),
    put: kv.put.bind(kv),
    list: kv.list.bind(kv),
    delete: kv.delete.bind(kv),
    getWithMetadata: kv.getWithMetadata.bind(kv),
  };
  Object.assign(env, { QUOTA_KV });
  createDeps(env, () => Date.now());
}

/** Reverts every change to the bindings. */
export function restoreBindings(): void {
  for (const name of Object.keys(env)) if (!(name in configured)) Reflect.deleteProperty(env, name);
  Object.assign(env, configured);
  newInstance();
}

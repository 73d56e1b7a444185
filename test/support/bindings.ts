/** The configured bindings. Loaded once, before any test file can change them. */
import { env } from "cloudflare:workers";

const configured = { ...env };
const { QUOTA_KV: kv } = configured;

/**
 * Reverts every change to the bindings. The Worker caches the quota for its KV binding. A new binding starts with an empty cache, like a
 * new instance.
 */
export function restoreBindings(): void {
  for (const name of Object.keys(env)) if (!(name in configured)) Reflect.deleteProperty(env, name);
  const QUOTA_KV = {
    get: kv.get.bind(kv),
    put: kv.put.bind(kv),
    list: kv.list.bind(kv),
    delete: kv.delete.bind(kv),
    getWithMetadata: kv.getWithMetadata.bind(kv),
  };
  Object.assign(env, configured, { QUOTA_KV });
}

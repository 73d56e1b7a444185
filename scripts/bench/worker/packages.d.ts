/** Types of two packages that `npm run bench` installs in a separate folder. */
declare module "@hono-rate-limiter/cloudflare" {
  export const DurableObjectRateLimiter: new () => object;
  export const DurableObjectStore: new (options: { namespace: DurableObjectNamespace }) => object;
  export const WorkersKVStore: new (options: { namespace: KVNamespace }) => object;
}

declare module "hono-rate-limiter" {
  import type { Context, MiddlewareHandler } from "hono";
  export function rateLimiter<Bindings extends object>(options: {
    windowMs: number;
    limit: number;
    keyGenerator: (c: Context<{ Bindings: Bindings }>) => string;
    store: object;
  }): MiddlewareHandler<{ Bindings: Bindings }>;
}

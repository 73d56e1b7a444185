/** hono-rate-limiter with its two stores for Workers, as documented. A separate Worker, because the package may be missing. */
import { DurableObjectRateLimiter, DurableObjectStore, WorkersKVStore } from "@hono-rate-limiter/cloudflare";
import { Hono } from "hono";
import type { Context, Next } from "hono";
import { rateLimiter } from "hono-rate-limiter";

export { DurableObjectRateLimiter };

interface Bindings {
  readonly LIMITER: DurableObjectNamespace;
  readonly LIMITER_KV: KVNamespace;
}

const DAY_MS = 86_400_000;

const limited = (storeOf: (bindings: Bindings) => object) => async (c: Context<{ Bindings: Bindings }>, next: Next) =>
  rateLimiter<Bindings>({
    windowMs: DAY_MS,
    limit: Number(c.req.query("limit")),
    keyGenerator: ({ req }) => req.query("key") ?? "",
    store: storeOf(c.env),
  })(c, next);

const app = new Hono<{ Bindings: Bindings }>();
app.use(
  "/object",
  limited(({ LIMITER }) => new DurableObjectStore({ namespace: LIMITER })),
);
app.use(
  "/kv",
  limited(({ LIMITER_KV }) => new WorkersKVStore({ namespace: LIMITER_KV })),
);
app.all("*", (c) => c.json({ granted: true }, 201));

export default app;

/** Worker of the benchmark. Each path is a contender or prepares data. */
import { dump, fill, restore } from "./dump.ts";
import type { TenantObject } from "./dump.ts";
import { OneStatement, takeFromKv, takeFromObject } from "./floor.ts";
import { eventLoop, resetLoop, sweepLoop } from "./loops.ts";
import { clearRound, seedOrganizations, seedProjects } from "./seed.ts";

export { OneStatement };

interface Bindings {
  readonly OBJECT: DurableObjectNamespace<OneStatement>;
  readonly KV: KVNamespace;
  readonly DB: D1Database;
  readonly TENANT_DATABASE: { getByName(name: string): TenantObject };
}

export default {
  async fetch(request: Request, bindings: Bindings): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    const [key, count] = [searchParams.get("key") ?? "", Number(searchParams.get("count"))];
    switch (pathname) {
      case "/empty":
        return Response.json({ granted: true }, { status: 201 });
      case "/object":
        return takeFromObject(bindings.OBJECT, key, Number(searchParams.get("limit")));
      case "/kv":
        return takeFromKv(bindings.KV, key, Number(searchParams.get("limit")));
      default: {
        const done = await work(pathname, key, count, bindings);
        return done === null ? new Response(null, { status: 404 }) : Response.json({ done });
      }
    }
  },
};

async function work(path: string, key: string, count: number, { DB, TENANT_DATABASE }: Bindings): Promise<number | null> {
  switch (path) {
    case "/seed/projects":
      return seedProjects(DB, count);
    case "/seed/organizations":
      return seedOrganizations(DB, count);
    case "/clear":
      await clearRound(DB);
      return 0;
    case "/loop/sweep":
      return sweepLoop(DB, key, count);
    case "/loop/reset":
      return resetLoop(DB, key, count);
    case "/loop/events":
      return eventLoop(DB, key, count);
    case "/database/fill":
      return fill(TENANT_DATABASE, key, count);
    case "/database/dump":
      return dump(TENANT_DATABASE, key, `dump-${crypto.randomUUID()}`);
    case "/database/restore":
      return restore(TENANT_DATABASE, key, `copy-${crypto.randomUUID()}`);
    default:
      return null;
  }
}

/** The parts that jobs meet beside those of requests, with traps in them. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { Manner, Traps } from "../harness/traps.ts";

type Method = (...given: unknown[]) => Promise<unknown>;

const lost = (): Error => new Error("Network connection lost.");

const WORKFLOWS: Manner = {
  failure: () => new Error("internal error"),
  overloaded: () => new Error("instance.rate_limited: too many instances are being created"),
  lost,
};

const R2: Manner = {
  failure: () => new Error("put: We encountered an internal error. Please try again. (10001)"),
  overloaded: () => new Error("put: Reduce your concurrent request rate for the same object. (10058)"),
  lost,
};

const TENANT: Manner = {
  failure: () => new Error("internal error"),
  overloaded: () =>
    Object.assign(new Error("Durable Object is overloaded. Too many requests queued."), { overloaded: true, retryable: true }),
  lost: () => Object.assign(lost(), { retryable: true }),
};

/** A proxy of an object whose methods go through the traps, the others as they are. */
function trapped<Target extends object>(target: Target, through: (name: string, method: Method) => Method): Target {
  return new Proxy(target, {
    get(of, name) {
      const member = Reflect.get(of, name) as unknown;
      if (typeof member !== "function" || typeof name !== "string") return member;
      return through(name, async (...given) => Reflect.apply(member as Method, of, given));
    },
  });
}

/** `create <type>`, `createBatch <type>`, `get <type>`. What was created is told by its id. */
export function trapWorkflows(traps: Traps, created: (id: string) => void): void {
  const [create, createBatch, get] = [env.JOBS.create.bind(env.JOBS), env.JOBS.createBatch.bind(env.JOBS), env.JOBS.get.bind(env.JOBS)];
  const typeOf = (id = ""): string => id.split("-")[0] ?? "";
  const ask = async <Answer>(name: string, id: string | undefined, real: () => Promise<Answer>): Promise<Answer> =>
    traps.through({ part: "workflows", name: `${name} ${typeOf(id)}`, manner: WORKFLOWS, real, nonsense: () => ({ id: 7 }) as Answer });
  vi.spyOn(env.JOBS, "create").mockImplementation(async (options) =>
    ask("create", options?.id, async () => {
      const instance = await create(options);
      created(instance.id);
      return instance;
    }),
  );
  vi.spyOn(env.JOBS, "createBatch").mockImplementation(async (all) =>
    ask("createBatch", all[0]?.id, async () => {
      const instances = await createBatch(all);
      for (const { id } of instances) created(id);
      return instances;
    }),
  );
  const remove = env.JOBS.deleteBatch.bind(env.JOBS);
  vi.spyOn(env.JOBS, "deleteBatch").mockImplementation(async (ids) => ask("deleteBatch", ids[0], async () => remove(ids)));
  vi.spyOn(env.JOBS, "get").mockImplementation(async (id) => {
    const instance = await ask("get", id, async () => get(id));
    return trapped(instance, (name, method) => async () => ask(name, id, method));
  });
}

/** `put part`, `get part`, `put manifest`, `list all`, … */
export function trapR2(traps: Traps): void {
  for (const name of ["put", "get", "list", "delete", "head"] as const) {
    const method = env.BACKUPS[name].bind(env.BACKUPS) as unknown as Method;
    const spoilt = (answer: unknown): unknown => {
      if (name === "get") return { arrayBuffer: async () => new TextEncoder().encode("<html>").buffer };
      return name === "list" ? { objects: [], truncated: false } : name === "put" ? null : answer;
    };
    vi.spyOn(env.BACKUPS, name).mockImplementation(((...given: unknown[]) =>
      traps.through({
        part: "r2",
        name: `${name} ${keyOf(given[0])}`,
        manner: R2,
        real: async () => whole(await method(...given)),
        nonsense: spoilt,
      })) as never);
  }
}

function keyOf(given: unknown): string {
  if (typeof given !== "string") return "all";
  return given.endsWith(".sql.gz") ? "part" : "manifest";
}

/** Read before anybody asks for its bytes, so that nothing is under way unseen. */
async function whole(answer: unknown): Promise<unknown> {
  if (typeof answer !== "object" || answer === null || !("arrayBuffer" in answer)) return answer;
  const bytes = await (answer as R2ObjectBody).arrayBuffer();
  return { arrayBuffer: async () => bytes };
}

/** `<method> project` or `<method> scratch`. */
export function trapTenants(traps: Traps): void {
  const real = env.TENANT_DATABASE.getByName.bind(env.TENANT_DATABASE);
  vi.spyOn(env.TENANT_DATABASE, "getByName").mockImplementation((object, options) => {
    const restart = async (): Promise<void> =>
      runInDurableObject(real(object), (_, state) => state.abort("restarted")).catch(() => undefined);
    const whose = object.startsWith("scratch:") ? "scratch" : "project";
    return trapped(real(object, options), (name, method) => {
      if (name === "fetch") return method;
      return async (...given) =>
        traps.through({
          part: "tenant",
          name: `${name} ${whose}`,
          manner: { ...TENANT, restart },
          real: async () => method(...given),
          nonsense: () => ({ result: "<html>" }),
        });
    });
  });
}

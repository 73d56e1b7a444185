/** Parts that only jobs use, with injected faults. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { JobParams } from "../../../worker/src/jobs/job-params.ts";
import type { Failures, FaultInjector } from "../harness/injector.ts";

type Method = (...given: unknown[]) => Promise<unknown>;

const lost = (): Error => new Error("Network connection lost.");

const WORKFLOWS: Failures = {
  failure: () => new Error("internal error"),
  overloaded: () => new Error("instance.rate_limited: too many instances are being created"),
  lost,
};

const R2: Failures = {
  failure: () => new Error("put: We encountered an internal error. Please try again. (10001)"),
  overloaded: () => new Error("put: Reduce your concurrent request rate for the same object. (10058)"),
  lost,
};

const TENANT: Failures = {
  failure: () => new Error("internal error"),
  overloaded: () =>
    Object.assign(new Error("Durable Object is overloaded. Too many requests queued."), { overloaded: true, retryable: true }),
  lost: () => Object.assign(lost(), { retryable: true }),
};

/** A proxy of an object whose methods run through the injector. */
function wrapped<Target extends object>(target: Target, wrap: (name: string, method: Method) => Method): Target {
  return new Proxy(target, {
    get(of, name) {
      const member = Reflect.get(of, name) as unknown;
      if (typeof member !== "function" || typeof name !== "string") return member;
      return wrap(name, async (...given) => Reflect.apply(member as Method, of, given));
    },
  });
}

/** Operations: `create <type>`, `createBatch <type>`, `get <type>`. `created` receives the id of each new instance. */
export function wrapWorkflows(injector: FaultInjector, created: (id: string) => void): void {
  const [create, createBatch, get] = [env.JOBS.create.bind(env.JOBS), env.JOBS.createBatch.bind(env.JOBS), env.JOBS.get.bind(env.JOBS)];
  const typeOf = (id = ""): string => id.split("-")[0] ?? "";
  const send = async <Answer>(name: string, id: string | undefined, real: () => Promise<Answer>): Promise<Answer> =>
    injector.run({ part: "workflows", name: `${name} ${typeOf(id)}`, failures: WORKFLOWS, real, nonsense: () => ({ id: 7 }) as Answer });
  vi.spyOn(env.JOBS, "create").mockImplementation(async (options) =>
    send("create", options?.id, async () => {
      const instance = await create(options);
      created(instance.id);
      return instance;
    }),
  );
  vi.spyOn(env.JOBS, "createBatch").mockImplementation((async (batch: { readonly instances: WorkflowInstanceCreateOptions<JobParams>[] }) =>
    send("createBatch", batch.instances[0]?.id, async () => {
      const result = await createBatch(batch);
      for (const { id } of result.created) created(id);
      return result;
    })) as never);
  const remove = env.JOBS.deleteBatch.bind(env.JOBS);
  vi.spyOn(env.JOBS, "deleteBatch").mockImplementation(async (ids) => send("deleteBatch", ids[0], async () => remove(ids)));
  vi.spyOn(env.JOBS, "get").mockImplementation(async (id) => {
    const instance = await send("get", id, async () => get(id));
    return wrapped(instance, (name, method) => async () => send(name, id, method));
  });
}

/** Operations: `put part`, `get part`, `put manifest`, `list all`, … */
export function wrapR2(injector: FaultInjector): void {
  for (const name of ["put", "get", "list", "delete", "head"] as const) {
    const method = env.BACKUPS[name].bind(env.BACKUPS) as unknown as Method;
    const nonsense = (answer: unknown): unknown => {
      if (name === "get") return { arrayBuffer: async () => new TextEncoder().encode("<html>").buffer };
      return name === "list" ? { objects: [], truncated: false } : name === "put" ? null : answer;
    };
    vi.spyOn(env.BACKUPS, name).mockImplementation(((...given: unknown[]) =>
      injector.run({
        part: "r2",
        name: `${name} ${keyOf(given[0])}`,
        failures: R2,
        real: async () => whole(await method(...given)),
        nonsense,
      })) as never);
  }
}

function keyOf(given: unknown): string {
  if (typeof given !== "string") return "all";
  return given.endsWith(".sql.gz") ? "part" : "manifest";
}

/** Reads the whole object first, so that no hidden work is in progress later. */
async function whole(answer: unknown): Promise<unknown> {
  if (typeof answer !== "object" || answer === null || !("arrayBuffer" in answer)) return answer;
  const bytes = await (answer as R2ObjectBody).arrayBuffer();
  return { arrayBuffer: async () => bytes };
}

/** Operations: `<method> project` or `<method> scratch`. */
export function wrapTenants(injector: FaultInjector): void {
  const real = env.TENANT_DATABASE.getByName.bind(env.TENANT_DATABASE);
  vi.spyOn(env.TENANT_DATABASE, "getByName").mockImplementation((object, options) => {
    const restart = async (): Promise<void> =>
      runInDurableObject(real(object), (_, state) => state.abort("restarted")).catch(() => undefined);
    const kind = object.startsWith("scratch:") ? "scratch" : "project";
    return wrapped(real(object, options), (name, method) => {
      if (name === "fetch") return method;
      return async (...given) =>
        injector.run({
          part: "tenant",
          name: `${name} ${kind}`,
          failures: { ...TENANT, restart },
          real: async () => method(...given),
          nonsense: () => ({ result: "<html>" }),
        });
    });
  });
}

/** A Workflows binding with the platform's creation limit: 100 instances a second. It omits other instances without an error. */
import type { JobParams } from "../../worker/src/jobs/job-params.ts";

const MAX_PER_SECOND = 100;
const MAX_PER_BATCH = 100;
const MAX_BATCH_BYTES = 1_048_576;
const EXISTS = { code: 10_405, message: "workflows.api.error.instance.already_exists" };

type Options = WorkflowInstanceCreateOptions<JobParams>;

export interface StrictWorkflows {
  readonly binding: Workflow<JobParams>;
  /** Time of creation of each instance. */
  readonly created: ReadonlyMap<string, number>;
  /** Number of creations that were requested, also of those that were omitted. */
  readonly requested: () => number;
}

/** `omits`: additional instances to omit. `clock`: epoch milliseconds. */
export function strictWorkflows(clock: () => number, omits: (id: string, nth: number) => boolean = () => false): StrictWorkflows {
  const created = new Map<string, number>();
  let requested = 0;
  const create = (id: string): boolean => {
    requested += 1;
    const lately = [...created.values()].filter((at) => clock() - at < 1_000).length;
    if (lately >= MAX_PER_SECOND || omits(id, requested)) return false;
    created.set(id, clock());
    return true;
  };
  const createBatch = async (given: Options[] | { instances: Options[] }) => {
    const all = Array.isArray(given) ? given : given.instances;
    if (all.length > MAX_PER_BATCH) throw new Error("batchCreate only supports 100 instances at a time");
    if (new TextEncoder().encode(JSON.stringify(all)).byteLength > MAX_BATCH_BYTES) throw new Error("The batch exceeds 1 MiB");
    const known = new Set(created.keys());
    const made = all.filter(({ id = "" }) => !known.has(id) && create(id)).map(({ id }) => ({ id }));
    const errors = all.flatMap(({ id = "" }, index) => (known.has(id) ? [{ index, id, ...EXISTS }] : []));
    return Array.isArray(given) ? made : { created: made, errors };
  };
  const binding = {
    createBatch,
    create: async ({ id = "" }: Options) => {
      if (created.has(id)) throw new Error("(instance.already_exists) Instance already exists");
      if (!create(id)) throw new Error("instance.rate_limited");
      return { id };
    },
    get: async (id: string) => {
      if (!created.has(id)) throw new Error("instance.not_found");
      return { id, status: async () => ({ status: "queued" }) };
    },
  };
  return { binding: binding as unknown as Workflow<JobParams>, created, requested: () => requested };
}

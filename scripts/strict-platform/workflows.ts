/** Workflows: sizes, steps and the rate of creation. */
import { operation, runIn } from "./invocation.ts";
import type { Invocation } from "./invocation.ts";
import { jsonBytes } from "./limits.ts";
import { platform } from "./platform.ts";
import { EventsPerSecond } from "./rate.ts";
import { methodOf, replace } from "./replace.ts";
import type { Method } from "./replace.ts";

interface Requested {
  readonly id?: string;
  readonly params?: unknown;
}

interface Refusal {
  readonly index: number;
  readonly id?: string;
  readonly code: number;
  readonly message: string;
}

let creations = new EventsPerSecond();
platform.onReset(() => (creations = new EventsPerSecond()));

/** Throws if the platform would refuse this instance. */
function checkCreation({ params }: Requested): void {
  platform.check("workflow_params_bytes", jsonBytes(params), "Workflow instance parameters are too large");
  platform.check("workflow_creations_per_second", creations.next, "Too many Workflow instances were created");
  creations.add();
}

function checkBatch(batch: readonly Requested[]): void {
  platform.check("workflow_batch_instances", batch.length, "Too many instances in one createBatch");
  platform.check("workflow_batch_bytes", jsonBytes(batch), "One createBatch is too large");
}

/** The instances that the platform accepts, and the errors of the others. */
function split(batch: readonly Requested[]): { readonly accepted: readonly Requested[]; readonly errors: readonly Refusal[] } {
  const accepted: Requested[] = [];
  const errors: Refusal[] = [];
  for (const [index, each] of batch.entries()) {
    try {
      checkCreation(each);
      accepted.push(each);
    } catch (error) {
      errors.push({ index, ...(each.id === undefined ? {} : { id: each.id }), code: 10_429, message: String(error) });
    }
  }
  return { accepted, errors };
}

async function createBatch(create: Method, given: unknown): Promise<unknown> {
  // The array form omits refused instances without an error.
  if (Array.isArray(given)) {
    checkBatch(given as Requested[]);
    const { accepted } = split(given as Requested[]);
    return accepted.length === 0 ? [] : create(accepted);
  }
  const { instances } = given as { instances?: readonly Requested[] };
  if (instances === undefined) return create(given);
  checkBatch(instances);
  const { accepted, errors } = split(instances);
  const made = accepted.length === 0 ? { created: [], errors: [] } : await create({ instances: accepted });
  const { created, errors: own } = made as { created: unknown[]; errors: Refusal[] };
  // The binding numbers only the instances that it received.
  const numbered = own.map((error) => ({ ...error, index: instances.indexOf(accepted[error.index] ?? {}) }));
  return { created, errors: [...errors, ...numbered].toSorted((one, other) => one.index - other.index) };
}

export function strictWorkflow(workflow: object): void {
  replace(
    workflow,
    "create",
    (create) => async (given) =>
      operation("Workflows create", async () => {
        checkCreation(given ?? {});
        return create(given);
      }),
  );
  replace(workflow, "createBatch", (create) => async (given) => operation("Workflows createBatch", async () => createBatch(create, given)));
  for (const name of ["get", "deleteBatch"]) {
    replace(
      workflow,
      name,
      (original) =>
        async (...given) =>
          operation(`Workflows ${name}`, async () => original(...given)),
    );
  }
}

/** All steps of a run share the counters of its invocation. */
export function strictSteps(steps: object, invocation: Invocation): object {
  const counted =
    (original: Method): Method =>
    async (...given) => {
      invocation.steps += 1;
      platform.check("workflow_steps", invocation.steps, "The Workflow instance has too many steps");
      return original(...given);
    };
  const inInvocation =
    (work: Method, name: unknown): Method =>
    async (...values) => {
      const result = await runIn(invocation, async () => work(...values));
      platform.check("workflow_step_result_bytes", jsonBytes(result), `Step ${String(name)} output is too large`);
      return result;
    };
  return new Proxy(steps, {
    get(target, name) {
      if (name === "do") {
        const run = counted(methodOf(target, "do"));
        // A retry of a step must not repeat the count, so that only the callback is wrapped.
        return (...given: unknown[]) =>
          run(...given.map((each) => (typeof each === "function" ? inInvocation(each as Method, given[0]) : each)));
      }
      if (name === "sleep" || name === "sleepUntil" || name === "waitForEvent") return counted(methodOf(target, name));
      return Reflect.get(target, name) as unknown;
    },
  });
}

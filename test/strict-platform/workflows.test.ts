import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { freshStart } from "../support/worker.ts";
import { platform, strictBindings, strictEntryPoints } from "../../scripts/strict-platform/index.ts";
import { exceeding, inInvocation } from "./support.ts";

const MIB = 1024 * 1024;

interface Requested {
  readonly id: string;
  readonly params?: unknown;
}

/** A binding that records instances and runs none. An id exists once. */
class RecordedWorkflow {
  readonly ids: string[] = [];
  async get(id: string): Promise<{ id: string }> {
    return { id };
  }
  async deleteBatch(ids: string[]): Promise<string[]> {
    return ids;
  }
  async create({ id }: Requested): Promise<{ id: string }> {
    this.ids.push(id);
    return { id };
  }
  async createBatch(given: readonly Requested[] | { readonly instances: readonly Requested[] }): Promise<unknown> {
    const created: { id: string }[] = [];
    const errors: { index: number; id: string; code: number; message: string }[] = [];
    for (const [index, { id }] of ("instances" in given ? given.instances : given).entries()) {
      if (this.ids.includes(id)) errors.push({ index, id, code: 10_001, message: "instance.already_exists" });
      else created.push({ id });
    }
    this.ids.push(...created.map(({ id }) => id));
    return "instances" in given ? { created, errors } : created;
  }
}

let workflow = new RecordedWorkflow();
const create = async (id: string, params?: unknown): Promise<unknown> => workflow.create({ id, params });
const many = (from: number, count: number): Requested[] => Array.from({ length: count }, (_, index) => ({ id: `i-${from + index}` }));

beforeEach(async () => {
  await freshStart();
  workflow = new RecordedWorkflow();
  strictBindings({ ...env, JOBS: workflow });
});

describe("creation", () => {
  test("takes parameters of at most 1 MiB", async () => {
    await inInvocation(async () => create("a", "x".repeat(MIB - 2)));
    expect(await exceeding(async () => create("b", "x".repeat(MIB - 1)))).toBe(
      "LimitError: Workflow instance parameters are too large (platform limit workflow_params_bytes: 1048576, got 1048577)",
    );
  });

  test("happens at most 100 times a second", async () => {
    for (const { id } of many(0, 100)) await inInvocation(async () => create(id));
    expect(await exceeding(async () => create("more"))).toContain("workflow_creations_per_second: 100, got 101");
    vi.setSystemTime(Date.now() + 1_000);
    await inInvocation(async () => create("more"));
    expect(workflow.ids).toHaveLength(101);
  });

  test("of a list omits refused instances silently", async () => {
    await inInvocation(async () => create("i-0"));
    await inInvocation(async () => workflow.createBatch(many(0, 90)));
    const made = (await inInvocation(async () => workflow.createBatch(many(90, 20)))) as Requested[];
    // One creation, and 90 of the first list, of which one existed.
    expect(made).toHaveLength(9);
    expect(platform.takeExceeded().map(({ limit }) => limit)).toEqual(Array.from({ length: 11 }, () => "workflow_creations_per_second"));
  });

  test("of an object with instances reports each refusal by its position", async () => {
    await inInvocation(async () => create("i-1"));
    const instances = [{ id: "i-0", params: "x".repeat(MIB) }, ...many(1, 2)];
    platform.set({ limits: { workflow_batch_bytes: 2 * MIB } });
    const answer = await inInvocation(async () => workflow.createBatch({ instances }));
    platform.takeExceeded();
    expect(answer).toMatchObject({
      created: [{ id: "i-2" }],
      errors: [
        { index: 0, id: "i-0", message: expect.stringContaining("workflow_params_bytes") as string },
        { index: 1, id: "i-1", message: "instance.already_exists" },
      ],
    });
  });

  test("takes at most 100 instances and 1 MiB in one batch", async () => {
    expect(await exceeding(async () => workflow.createBatch(many(0, 101)))).toContain("workflow_batch_instances: 100, got 101");
    const large = many(0, 4).map((each) => ({ ...each, params: "x".repeat(300_000) }));
    expect(await exceeding(async () => workflow.createBatch(large))).toContain("workflow_batch_bytes: 1048576, got 12");
  });
});

describe("a run", () => {
  interface Steps {
    readonly do: (name: string, run: () => Promise<unknown>) => Promise<unknown>;
    readonly sleep: (name: string) => Promise<void>;
  }

  /** Runs `work` as the run of an instance. */
  async function run(work: (steps: Steps) => Promise<unknown>): Promise<unknown> {
    class Instance {
      async run(_event: unknown, steps: Steps): Promise<unknown> {
        return work(steps);
      }
    }
    strictEntryPoints({ worker: { fetch: async () => null, scheduled: async () => null }, workflows: [Instance], durableObjects: [] });
    const steps: Steps = { do: async (_name, each) => each(), sleep: async () => undefined };
    return new Instance().run(null, steps);
  }

  const errorOf = async (work: (steps: Steps) => Promise<unknown>): Promise<string> => {
    const error = await run(work).then(() => "no error", String);
    platform.takeExceeded();
    return error;
  };

  test("has steps with results of at most 1 MiB", async () => {
    expect(await run(async (steps) => steps.do("a", async () => "x".repeat(MIB - 2)))).toHaveLength(MIB - 2);
    expect(await errorOf(async (steps) => steps.do("a", async () => "x".repeat(MIB - 1)))).toBe(
      "LimitError: Step a output is too large (platform limit workflow_step_result_bytes: 1048576, got 1048577)",
    );
  });

  test("has at most 10,000 steps, sleeps included", async () => {
    const error = await errorOf(async (steps) => {
      for (let count = 0; count < 10_000; count += 1) await steps.do("a", async () => null);
      await steps.sleep("b");
    });
    expect(error).toContain("workflow_steps: 10000, got 10001");
  });

  test("shares its D1 statements among all steps", async () => {
    const statements = async (): Promise<unknown> => env.DB.batch(Array.from({ length: 400 }, () => env.DB.prepare("SELECT 1")));
    const error = await errorOf(async (steps) => {
      for (const name of ["a", "b", "c"]) await steps.do(name, statements);
    });
    expect(error).toContain("d1_statements_per_invocation: 1000, got 1200");
  });
});

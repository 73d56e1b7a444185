/** Workflows that record instances and run none. The matrix of jobs runs them. */
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { Failures, FaultInjector } from "./injector.ts";

const WORKFLOWS: Failures = {
  failure: () => new Error("Workflows: internal error"),
  overloaded: () => new Error("Workflows: too many requests"),
  lost: () => new Error("Network connection lost."),
};

export class RecordedInstances {
  readonly #ids = new Set<string>();

  get count(): number {
    return this.#ids.size;
  }

  /** An id exists once, as on the platform. */
  wrap(injector: FaultInjector): void {
    const create = async (id: string): Promise<unknown> => {
      if (this.#ids.has(id)) throw new Error("instance.already_exists");
      this.#ids.add(id);
      return { id };
    };
    vi.spyOn(env.JOBS, "create").mockImplementation((async ({ id = "" }: { id?: string } = {}) =>
      injector.run({
        part: "workflows",
        name: "create",
        failures: WORKFLOWS,
        real: async () => create(id),
        nonsense: () => undefined,
      })) as never);
  }
}

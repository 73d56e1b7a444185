/** Workflows at a door: instances are noted, and none runs. What jobs do under faults has tables of its own. */
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { Manner, Traps } from "./traps.ts";

const WORKFLOWS: Manner = {
  failure: () => new Error("Workflows: internal error"),
  overloaded: () => new Error("Workflows: too many requests"),
  lost: () => new Error("Network connection lost."),
};

export class NotedInstances {
  readonly #ids = new Set<string>();

  get count(): number {
    return this.#ids.size;
  }

  /** An id exists once, as in the platform's own engine. */
  trap(traps: Traps): void {
    const create = async (id: string): Promise<unknown> => {
      if (this.#ids.has(id)) throw new Error("instance.already_exists");
      this.#ids.add(id);
      return { id };
    };
    vi.spyOn(env.JOBS, "create").mockImplementation((async ({ id = "" }: { id?: string } = {}) =>
      traps.through({
        part: "workflows",
        name: "create",
        manner: WORKFLOWS,
        real: async () => create(id),
        nonsense: () => undefined,
      })) as never);
  }
}

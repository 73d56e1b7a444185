/** Answers that many callers can share for a short time. No I/O. No clock. */

/** The latest answer of this instance. It holds data only, because a promise belongs to its request. A failure is not kept. */
export class Recent<Answer> {
  readonly #maxAgeMs: number;
  #latest: { readonly answer: Answer; readonly at: number } | null = null;

  constructor(maxAgeMs: number) {
    this.#maxAgeMs = maxAgeMs;
  }

  /** `read` runs only if the latest answer is too old. */
  async get(now: number, read: () => Promise<Answer>): Promise<Answer> {
    const latest = this.#latest;
    if (latest !== null && Math.abs(now - latest.at) < this.#maxAgeMs) return latest.answer;
    const answer = await read();
    this.#latest = { answer, at: now };
    return answer;
  }
}

/** Memory of an instance for each binding, so that each environment has its own. */
export class PerBinding<Binding extends object, Memory> {
  readonly #create: (binding: Binding) => Memory;
  readonly #known = new WeakMap<Binding, Memory>();

  constructor(create: (binding: Binding) => Memory) {
    this.#create = create;
  }

  of(binding: Binding): Memory {
    const memory = this.#known.get(binding) ?? this.#create(binding);
    this.#known.set(binding, memory);
    return memory;
  }
}

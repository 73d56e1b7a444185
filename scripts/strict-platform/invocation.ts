/** One invocation of the product: its counters, and the end of its client. */
import { AsyncLocalStorage } from "node:async_hooks";
import { platform } from "./platform.ts";

export type InvocationKind = "request" | "cron" | "workflow" | "object";

const NEVER = new Promise<never>(() => undefined);

/** The platform ends work in `waitUntil` this long after the client left. */
const BACKGROUND_MS = 30_000;

export class Invocation {
  readonly kind: InvocationKind;
  statements = 0;
  subrequests = 0;
  steps = 0;
  #openConnections = 0;
  readonly #waiting: (() => void)[] = [];
  #backgroundWork = 0;
  #left: number | null = null;
  readonly #onLeave: () => void;

  constructor(kind: InvocationKind, onLeave: () => void = () => undefined) {
    this.kind = kind;
    this.#onLeave = onLeave;
  }

  /** Keeps the invocation running after its client left. */
  waitUntil(work: unknown): void {
    this.#backgroundWork += 1;
    const end = (): void => void (this.#backgroundWork -= 1);
    void Promise.resolve(work).then(end, end);
  }

  /** The platform cancels the invocation. Only work in `waitUntil` keeps it running. */
  clientLeaves(): void {
    this.#left ??= Date.now();
    this.#onLeave();
  }

  get isCanceled(): boolean {
    return this.#left !== null && (this.#backgroundWork === 0 || Date.now() - this.#left > BACKGROUND_MS);
  }

  /** A connection that waits for its headers. */
  async connection<Result>(work: () => Promise<Result>): Promise<Result> {
    const most = platform.limits.open_connections;
    if (this.#openConnections >= most) {
      if (platform.settings.beyondOpenConnections === "fail")
        throw platform.exceeded("open_connections", this.#openConnections + 1, "Too many connections wait for headers");
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#openConnections += 1;
    try {
      return await work();
    } finally {
      this.#openConnections -= 1;
      this.#waiting.shift()?.();
    }
  }
}

const current = new AsyncLocalStorage<Invocation>();

export const currentInvocation = (): Invocation | undefined => current.getStore();

export const runIn = <Result>(invocation: Invocation, work: () => Result): Result =>
  platform.settings.isEnforced ? current.run(invocation, work) : work();

interface Kind {
  /** Waits for headers, so that it is one of the six open connections. */
  readonly isConnection?: boolean;
}

/** Runs one operation on a binding, or one request, within the limits of its invocation. Outside of an invocation, it only runs. */
export async function operation<Result>(name: string, work: () => Promise<Result>, { isConnection = false }: Kind = {}): Promise<Result> {
  const invocation = currentInvocation();
  if (invocation === undefined) return work();
  if (invocation.isCanceled) return NEVER;
  invocation.subrequests += 1;
  platform.check("subrequests_per_invocation", invocation.subrequests, "Too many subrequests by single Worker invocation.");
  const running = isConnection ? invocation.connection(work) : work();
  const { clientLeavesAt } = platform.settings;
  if (clientLeavesAt !== null && invocation.kind === "request" && name.includes(clientLeavesAt)) invocation.clientLeaves();
  const settled = await Promise.allSettled([running]);
  if (invocation.isCanceled) return NEVER;
  if (settled[0].status === "rejected") throw settled[0].reason;
  return settled[0].value;
}

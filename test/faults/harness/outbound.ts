/** Outgoing HTTP requests of the Worker, with injected faults. The simulator is the provider. Other hosts answer with success. */
import { vi } from "vitest";
import type { Part } from "../matrix.ts";
import type { Failures, FaultInjector } from "./injector.ts";

export const COLLECTOR_URL = "http://collector.test";

const HTTP: Failures = {
  failure: () => new TypeError("Network connection lost."),
  overloaded: () => new TypeError("Network connection lost."),
  lost: () => new TypeError("Network connection lost."),
};

/** The part behind each host. Other hosts are not part of the matrix. */
const PART_OF_HOST: Readonly<Record<string, Part>> = { "isbndb.test": "provider", "collector.test": "collector" };

type Answer = (request: Request) => Promise<Response>;

export type OtherHosts = Readonly<Record<string, { readonly part: Part; readonly answer: Answer }>>;

const html = (): Response => new Response("<!doctype html><title>Welcome</title>", { headers: { "content-type": "text/html" } });

const tooMany = (part: Part): Response => {
  const message = part === "provider" ? "Per minute quota exceeded, please try again later" : "Too many requests";
  return Response.json({ message }, { status: 429, headers: { "retry-after": "60" } });
};

/** The right status and headers, and half of the body. */
async function half(answer: Response): Promise<Response> {
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(bytes.subarray(0, Math.floor(bytes.byteLength / 2)));
    },
    pull(controller) {
      controller.error(new TypeError("Network connection lost."));
    },
  });
  return new Response(body, answer);
}

/** Reads the whole body first, so that no hidden work is in progress later. */
async function whole(answer: Response): Promise<Response> {
  return new Response(answer.body === null ? null : await answer.arrayBuffer(), answer);
}

/** `otherHosts` answer at further hosts, each as its part. */
export function wrapOutbound(injector: FaultInjector, otherHosts: OtherHosts = {}): void {
  const real = globalThis.fetch.bind(globalThis);
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    const { hostname, pathname, search } = new URL(request.url);
    const other = otherHosts[hostname];
    const part = other?.part ?? PART_OF_HOST[hostname];
    if (part === undefined) return real(request);
    const send = async (): Promise<Response> => {
      if (other) return other.answer(request);
      if (part === "collector") return Response.json({});
      return real(new Request(request, { signal: null }));
    };
    const answer = injector.run({
      part,
      name: `${request.method} ${pathname}${search}`,
      failures: HTTP,
      real: async () => whole(await send()),
      nonsense: html,
      refused: async () => tooMany(part),
      cutOff: half,
    });
    return orAborted(answer, init?.signal ?? null);
  });
}

async function orAborted(answer: Promise<Response>, signal: AbortSignal | null): Promise<Response> {
  if (signal === null) return answer;
  return Promise.race([
    answer,
    new Promise<never>((_, reject) => {
      const abort = (): void => reject(signal.reason as Error);
      if (signal.aborted) abort();
      signal.addEventListener("abort", abort);
    }),
  ]);
}

/** Whatever the Worker asks of others over HTTP, with traps in it. The provider is the simulator; the others answer politely. */
import { vi } from "vitest";
import type { Part } from "../matrix.ts";
import type { Manner, Traps } from "./traps.ts";

export const COLLECTOR_URL = "http://collector.test";

const HTTP: Manner = {
  failure: () => new TypeError("Network connection lost."),
  overloaded: () => new TypeError("Network connection lost."),
  lost: () => new TypeError("Network connection lost."),
};

/** Who is asked at a host; everybody else is no part of the matrix. */
const PART_OF_HOST: Readonly<Record<string, Part>> = { "isbndb.test": "provider", "collector.test": "collector" };

type Answer = (request: Request) => Promise<Response>;

export type Others = Readonly<Record<string, { readonly part: Part; readonly answer: Answer }>>;

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

/** Whole before anybody reads it, so that nothing is under way unseen. */
async function whole(answer: Response): Promise<Response> {
  return new Response(answer.body === null ? null : await answer.arrayBuffer(), answer);
}

/** `others` answer at further hosts, each as its part. */
export function trapOutbound(traps: Traps, others: Others = {}): void {
  const real = globalThis.fetch.bind(globalThis);
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const request = new Request(input, init);
    const { hostname, pathname, search } = new URL(request.url);
    const other = others[hostname];
    const part = other?.part ?? PART_OF_HOST[hostname];
    if (part === undefined) return real(request);
    const go = async (): Promise<Response> => {
      if (other) return other.answer(request);
      if (part === "collector") return Response.json({});
      return real(new Request(request, { signal: null }));
    };
    const asked = traps.through({
      part,
      name: `${request.method} ${pathname}${search}`,
      manner: HTTP,
      real: async () => whole(await go()),
      nonsense: html,
      refused: async () => tooMany(part),
      cutOff: half,
    });
    return orAborted(asked, init?.signal ?? null);
  });
}

async function orAborted(asked: Promise<Response>, signal: AbortSignal | null): Promise<Response> {
  if (signal === null) return asked;
  return Promise.race([
    asked,
    new Promise<never>((_, reject) => {
      const abort = (): void => reject(signal.reason as Error);
      if (signal.aborted) abort();
      signal.addEventListener("abort", abort);
    }),
  ]);
}

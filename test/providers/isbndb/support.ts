import { vi } from "vitest";
import { type CallReport, createIsbndbClient } from "../../../worker/src/providers/isbndb/index.ts";

export const API_KEY = "secret_key-123";
export const START = Date.UTC(2025, 11, 30, 14);
export const fox = { isbn13: "9780140328721", title: "Fantastic Mr. Fox" };
export const countHeaders = {
  ratelimit: '"rate";r=179;t=60, "daily";r=14880;t=36000',
  "ratelimit-policy": '"rate";q=180;w=60, "daily";q=15000;w=86400',
};

type Respond = (init: RequestInit) => Response | Promise<Response>;

/** A client whose clock advances by a second with every read, a spied `fetch`, and the reports that `onOutcome` received. */
export function stage(respond: Respond, { timeoutMs = 20_000, baseUrl = "https://provider.test" } = {}) {
  let now = START - 1000;
  const requests: { url: string; init: RequestInit }[] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init = {}) => {
    requests.push({ url: input instanceof Request ? input.url : input.toString(), init });
    return respond(init);
  });
  const reports: CallReport[] = [];
  const client = createIsbndbClient({ baseUrl, apiKey: API_KEY, timeoutMs, clock: () => (now += 1000) });
  return { client, requests, reports, onOutcome: (report: CallReport) => void reports.push(report) };
}

/** Sends the text, then breaks off, stalls or ends. Reports whether it was cancelled. */
export function stream(text: string, then: "end" | "break" | "hang") {
  const state = { cancelled: false };
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text));
      if (then === "end") controller.close();
    },
    pull(controller) {
      if (then === "break") controller.error(new Error("connection reset"));
    },
    cancel() {
      state.cancelled = true;
    },
  });
  return { body, state };
}

/** A `fetch` that never answers. Like the real one, it rejects when the signal aborts. */
export async function hang({ signal }: RequestInit): Promise<never> {
  return new Promise((_, reject) => signal?.addEventListener("abort", () => reject(new DOMException("timed out", "TimeoutError"))));
}

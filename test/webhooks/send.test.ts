import { afterEach, describe, expect, test, vi } from "vitest";
import { send } from "../../worker/src/webhooks/send.ts";
import { hang, stream } from "../providers/isbndb/support.ts";
import { RECEIVER } from "../tenants/webhooks/support.ts";

afterEach(() => void vi.restoreAllMocks());

const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
let now = 0;
const options = { allowPrivate: false, clock: () => (now += 10) };
const message = { messageId: "msg_1", body: "{}", secrets: [SECRET] };

async function answered(respond: (init: RequestInit) => Response | Promise<Response>, url = RECEIVER) {
  now = 1_000_000;
  const fetched = vi.spyOn(globalThis, "fetch").mockImplementation(async (_, init = {}) => respond(init));
  const timeout = vi.spyOn(AbortSignal, "timeout").mockImplementation(() => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    return controller.signal;
  });
  const answer = await send({ url, ...message }, options);
  return { answer, requests: fetched.mock.calls.length, timeouts: timeout.mock.calls.flat() };
}

describe("a receiver", () => {
  test("that never answers is abandoned after 15 s", async () => {
    const { answer, timeouts } = await answered(hang);
    expect(timeouts).toEqual([15_000]);
    expect(answer).toEqual({
      sent: true,
      status: null,
      error: "No response within 15 s.",
      response: null,
      retryAfterSeconds: null,
      startedAt: 1_000_010,
      endedAt: 1_000_020,
    });
  });

  test("that is unreachable is reported without its address", async () => {
    const { answer } = await answered(async () => {
      throw new TypeError(`Fetch API cannot load: ${RECEIVER}`);
    });
    expect(answer).toMatchObject({ sent: true, status: null, response: null, error: expect.stringMatching(/^Connection failed: /u) });
    expect(JSON.stringify(answer)).not.toContain("receiver.example");
  });

  test("that responds with 2xx and then stalls has the message, and the received part of its body is kept", async () => {
    const { body, state } = stream("half an ans", "hang");
    const { answer } = await answered(() => new Response(body));
    expect(answer).toMatchObject({ status: 200, error: null, response: "half an ans" });
    expect(state.cancelled).toBe(true);
  });

  test("whose body breaks off is judged by its status", async () => {
    const { answer } = await answered(() => new Response(stream("half", "break").body, { status: 500 }));
    expect(answer).toMatchObject({ status: 500, error: "Answered 500.", response: "half" });
  });

  test("whose endless body is read up to 20,000 bytes", async () => {
    let pulled = 0;
    let cancelled = false;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(4_096).fill(97));
      },
      cancel() {
        cancelled = true;
      },
    });
    const { answer } = await answered(() => new Response(body));
    expect(answer.response).toBe("a".repeat(20_000));
    expect({ cancelled, few: pulled < 20 }).toEqual({ cancelled: true, few: true });
  });

  test("whose body has exactly the maximum length is kept completely", async () => {
    expect((await answered(() => new Response("b".repeat(20_000)))).answer.response).toBe("b".repeat(20_000));
  });

  test("that responds with binary data is kept as text that a database accepts", async () => {
    const bytes = new Uint8Array([0x00, 0xff, 0xfe, 0x41, 0x00, 0xc3]);
    const { answer } = await answered(() => new Response(bytes, { headers: { "retry-after": "soon" } }));
    expect(answer).toMatchObject({ status: 200, response: "\u{FFFD}\u{FFFD}\u{FFFD}A\u{FFFD}\u{FFFD}", retryAfterSeconds: null });
  });

  test("that sends Retry-After delays the next attempt", async () => {
    expect((await answered(() => new Response("", { status: 429, headers: { "retry-after": "120" } }))).answer.retryAfterSeconds).toBe(120);
  });

  test("that redirects is not followed, and the error says so", async () => {
    const seen: (string | undefined)[] = [];
    const { answer, requests } = await answered((init) => {
      seen.push(init.redirect);
      return new Response(null, { status: 308, headers: { location: "http://169.254.169.254/" } });
    });
    expect(answer).toMatchObject({ status: 308, error: expect.stringMatching(/^Answered 308: redirects are not followed/u) });
    expect({ requests, seen }).toEqual({ requests: 1, seen: ["manual"] });
  });

  test("that responds with 410 is reported as gone", async () => {
    expect((await answered(() => new Response("", { status: 410 }))).answer.error).toBe("Answered 410: the receiver no longer exists.");
  });
});

test("an address that became private is not called", async () => {
  const { answer, requests } = await answered(() => new Response(""), "https://10.0.0.1/");
  expect(requests).toBe(0);
  expect(answer).toMatchObject({
    sent: false,
    status: null,
    error: "Not sent: the address must be a public address: 10.0.0.1 is not public.",
  });
});

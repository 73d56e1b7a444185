/** Raw bytes sent to the built product: slow, cut off, duplicated or split. In production, Cloudflare's edge refuses most of them. */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { beforeAll, describe, expect, test } from "vitest";
import { sharedProduct } from "../support/node/product.ts";
import type { Product } from "../support/node/product.ts";

let product: Product;

beforeAll(async () => {
  product = await sharedProduct();
});

const pause = async (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Longer than any answer takes. */
const DEADLINE_MS = 10_000;

interface Line {
  readonly socket: Socket;
  /** The received bytes, once they match `complete` or the connection is closed. Throws at the deadline. */
  readonly answer: (complete?: RegExp) => Promise<string>;
}

function open(): Line {
  const socket = connect(Number(product.url.port), product.url.hostname);
  let received = "";
  socket.on("data", (chunk: Buffer) => (received += chunk.toString("latin1")));
  socket.on("error", () => undefined);
  const answer = async (complete = /\r\n\r\n/u): Promise<string> => {
    for (const deadline = Date.now() + DEADLINE_MS; !socket.closed && !complete.test(received); await pause(10)) {
      if (Date.now() > deadline) throw new Error(`no answer: ${received}`);
    }
    // A second answer would arrive immediately.
    await pause(50);
    return received;
  };
  return { socket, answer };
}

const request = (line: string, headers: readonly string[], body = ""): string =>
  [`${line} HTTP/1.1`, `Host: ${product.url.host}`, `Authorization: Bearer ${product.token}`, ...headers, "", body].join("\r\n");

async function sent(text: string): Promise<string> {
  const line = open();
  line.socket.write(text, "latin1");
  const answer = await line.answer();
  line.socket.destroy();
  return answer;
}

/** Statuses of all answers in the text. Empty if the connection was closed without one. */
const statuses = (answer: string): number[] => [...answer.matchAll(/HTTP\/1\.1 (\d{3})/gu)].map(([, status]) => Number(status));

/** 5xx statuses of the Worker. Answers without a request id come from the local server in front of it. */
const faults = (answer: string): number[] => (/^x-request-id:/imu.test(answer) ? statuses(answer).filter((status) => status >= 500) : []);
const accepted = (answer: string): number[] => statuses(answer).filter((status) => status < 400);

const JSON_BODY = "Content-Type: application/json";
const RESERVE = "POST /api/quota/reservations";

const quota = async (): Promise<unknown[]> => {
  const { body } = await product.call("GET", "/api/quota/status");
  return [body["used"], body["reserved"]];
};

describe("slow and incomplete bodies", () => {
  test("block no other request and take effect only when they are complete", async () => {
    const body = JSON.stringify({ calls: 1, id: "slow" });
    const lines = Array.from({ length: 20 }, open);
    for (const { socket } of lines) socket.write(request(RESERVE, [JSON_BODY, `Content-Length: ${body.length}`]));
    for (const byte of body.slice(0, -1)) {
      for (const { socket } of lines) socket.write(byte);
      await pause(20);
    }
    const { status } = await product.call("GET", "/health");
    expect([status, await quota()]).toEqual([200, [0, 0]]);

    const [whole, ...never] = lines;
    whole?.socket.write("}");
    expect(statuses((await whole?.answer()) ?? "")).toEqual([201]);
    for (const { socket } of never) socket.destroy();
    whole?.socket.destroy();
    expect(await quota()).toEqual([0, 1]);
    await product.call("DELETE", "/api/quota/reservations/slow");
  });

  test("of 10 MB are refused also by routes without a body", async () => {
    for (const line of ["GET /health", "GET /api/audit", "GET /", "DELETE /api/projects/none", "POST /api/jobs/none/cancel"]) {
      const answer = statuses(await sent(request(line, [JSON_BODY, "Content-Length: 10000000"], " ".repeat(10_000_000))));
      // The server may answer early and close the connection.
      expect([line, answer.filter((status) => status !== 413)]).toEqual([line, []]);
    }
    expect((await product.call("GET", "/health")).status).toBe(200);
  });

  test("that are cut off do nothing", async () => {
    const line = open();
    line.socket.end(request(RESERVE, [JSON_BODY, "Content-Length: 100"], '{"calls": 1}'));
    expect(statuses(await line.answer()).filter((status) => status < 400)).toEqual([]);
    expect(await quota()).toEqual([0, 0]);
  });
});

describe("requests within requests", () => {
  const HIDDEN = "DELETE /api/quota/settings HTTP/1.1\r\nHost: x\r\n\r\n";

  test.each([
    ["two lengths", ["Content-Length: 0", `Content-Length: ${HIDDEN.length}`], HIDDEN],
    ["an invalid length", ["Content-Length: 0x10"], HIDDEN],
    ["a negative length", ["Content-Length: -1"], HIDDEN],
    ["a length and chunks", [`Content-Length: ${HIDDEN.length + 5}`, "Transfer-Encoding: chunked"], `0\r\n\r\n${HIDDEN}`],
    ["an unknown transfer encoding", ["Transfer-Encoding: xchunked"], `0\r\n\r\n${HIDDEN}`],
    ["a chunk without a size", ["Transfer-Encoding: chunked", JSON_BODY], `zz\r\n{}\r\n0\r\n\r\n`],
    ["a header that ends in a space", ["Transfer-Encoding : chunked"], `0\r\n\r\n${HIDDEN}`],
    ["a folded header", ["x-request-id: a", " b"], ""],
    ["CR alone in a header", ["x-request-id: a\rSet-Cookie: qc_session=1"], ""],
    ["LF alone in a header", ["x-request-id: a\nSet-Cookie: qc_session=1"], ""],
    ["NUL in a header", ["x-request-id: a\u0000b"], ""],
  ])("%s: no error, no echo and no effect", async (_, headers, body) => {
    const answer = await sent(request("POST /api/quota/nothing", [...headers], body));
    expect([...accepted(answer), ...faults(answer)]).toEqual([]);
    expect(answer).not.toMatch(/set-cookie/iu);
    expect(await quota()).toEqual([0, 0]);
  });
});

describe("requests that only raw bytes can express", () => {
  test("two Authorization headers are refused", async () => {
    expect(statuses(await sent(request("GET /api/audit", [`Authorization: Bearer ${product.token}`])))).toEqual([401]);
    expect(statuses(await sent(request("GET /api/audit", ["authorization: Bearer wrong-token-0123456789"])))).toEqual([401]);
  });

  test.each(["TRACE", "CONNECT", "FOO", "get"])("%s is refused without an echo of the request", async (method) => {
    const answer = await sent(request(`${method} /health`, ["x-secret: find-me"]));
    expect([...accepted(answer), ...faults(answer)]).toEqual([]);
    expect(answer).not.toMatch(/find-me|Bearer e2e/u);
  });

  test.each([
    ["an address in place of a path", "GET http://evil.example/sign-in"],
    ["no path", "GET "],
    ["an asterisk", "OPTIONS *"],
    ["a path of 100,000 characters", `GET /${"x".repeat(100_000)}`],
    ["a path with invalid UTF-8", "GET /\u00ff\u00fe"],
    ["a path with a space", "GET /a b"],
  ])("%s causes no error", async (_, line) => {
    const answer = await sent(request(line, []));
    expect(faults(answer)).toEqual([]);
    expect(answer).not.toContain("evil.example");
  });

  test("a header of 300,000 characters, and 5,000 headers, are refused or ignored", async () => {
    const many = Array.from({ length: 5_000 }, (_, index) => `x-h${index}: 1`);
    for (const headers of [[`x-long: ${"x".repeat(300_000)}`], many]) {
      expect(faults(await sent(request("GET /health", headers)))).toEqual([]);
    }
    expect((await product.call("GET", "/health")).status).toBe(200);
  });
});

test("static files have the security headers of pages", async () => {
  for (const path of [
    "/dashboard-assets/dashboard.js",
    "/dashboard-assets/dashboard.css",
    "/dashboard-assets/icon.svg",
    "/docs-assets/start.js",
  ]) {
    const { status, headers } = await fetch(new URL(path, product.url));
    const names = [
      "x-content-type-options",
      "x-frame-options",
      "referrer-policy",
      "content-security-policy",
      "cross-origin-resource-policy",
    ];
    expect({ path, status, values: names.map((name) => headers.get(name)) }).toEqual({
      path,
      status: 200,
      values: ["nosniff", "DENY", "same-origin", ["default-src 'none'", "frame-ancestors 'none'"].join("; "), "same-origin"],
    });
    expect(headers.get("strict-transport-security")).toMatch(/^max-age=\d{7,}/u);
    expect([...headers.keys()].filter((name) => /^(server|x-powered-by|access-control-)/u.test(name))).toEqual([]);
  }
  expect((await fetch(new URL("/_headers", product.url))).status).toBe(404);
});

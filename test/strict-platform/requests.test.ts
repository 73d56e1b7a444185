import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { freshStart, ledger, post } from "../support/worker.ts";
import { Invocation, platform, strictBindings, strictEntryPoints } from "../../scripts/strict-platform/index.ts";
import { waitUntil } from "../../scripts/strict-platform/runtime-module.ts";
import { exceeding, inInvocation } from "./support.ts";

const request = async (): Promise<string> => (await fetch("http://isbndb.test/key")).text();
const together = async (count: number): Promise<unknown> => Promise.all(Array.from({ length: count }, request));

beforeEach(async () => freshStart());

describe("subrequests", () => {
  test("50 on the free plan, of all kinds together", async () => {
    platform.set({ limits: { subrequests_per_invocation: 50 } });
    const error = await exceeding(async () => {
      for (let round = 0; round < 11; round += 1) {
        await env.QUOTA_KV.get("a");
        await env.DB.prepare("SELECT 1").run();
        await env.BACKUPS.head("a");
        await ledger().status();
        await request();
      }
    });
    expect(error).toBe(
      "LimitError: Too many subrequests by single Worker invocation. (platform limit subrequests_per_invocation: 50, got 51)",
    );
  });

  test("10,000 on the paid plan", async () => {
    const method = async (): Promise<null> => null;
    const instances = { get: method, create: method, createBatch: method, deleteBatch: method };
    strictBindings({ ...env, JOBS: instances });
    const error = await exceeding(async () => {
      for (let count = 0; count < 10_001; count += 1) await instances.get();
    });
    expect(error).toContain("subrequests_per_invocation: 10000, got 10001");
  });
});

describe("six connections that wait for headers", () => {
  test("are the most of one invocation", async () => {
    await inInvocation(async () => together(6));
    expect(await exceeding(async () => together(7))).toBe(
      "LimitError: Too many connections wait for headers (platform limit open_connections: 6, got 7)",
    );
  });

  test("make others wait, as on Cloudflare", async () => {
    platform.set({ beyondOpenConnections: "wait" });
    expect(await inInvocation(async () => together(20))).toHaveLength(20);
  });
});

test("an object on the code before a deployment does not have its new methods", async () => {
  platform.set({ missingMethods: { QUOTA_LEDGER: ["reserve"] } });
  const reserve = async (): Promise<unknown> => Reflect.apply(ledger().reserve, ledger(), [{}]) as Promise<unknown>;
  await expect(inInvocation(reserve)).rejects.toThrow('The RPC receiver does not implement the method "reserve".');
  expect(await inInvocation(async () => ledger().status())).toBeDefined();
  expect(await post("/api/quota/reservations", { calls: 1 })).toMatchObject({ status: 503, body: { code: "quota_unavailable" } });
});

test("a list of R2 has no checksums", async () => {
  await env.BACKUPS.put("a", "text", { sha256: await crypto.subtle.digest("SHA-256", new TextEncoder().encode("text")) });
  const { objects } = await inInvocation(async () => env.BACKUPS.list());
  const listed = objects.map(({ key, size, checksums }) => ({ key, size, sha256: checksums.sha256, json: checksums.toJSON() }));
  expect(listed).toEqual([{ key: "a", size: 4, sha256: undefined, json: {} }]);
  const head = await inInvocation(async () => env.BACKUPS.head("a"));
  expect(head?.checksums.sha256?.byteLength).toBe(32);
});

describe("a client that disconnects", () => {
  const done: string[] = [];

  async function work(): Promise<void> {
    await request();
    done.push("paid");
    await env.DB.prepare("SELECT 1").run();
    done.push("stored");
  }

  /** One request whose client leaves as soon as the Worker has sent its own request. */
  async function leaving(handle: (context: ExecutionContext) => Promise<void>): Promise<string> {
    done.length = 0;
    platform.set({ clientLeavesAt: "GET http://isbndb.test/key" });
    const worker = {
      fetch: async (_request: unknown, _env: unknown, context: ExecutionContext) => handle(context),
      scheduled: async () => undefined,
    };
    strictEntryPoints({ worker, workflows: [], durableObjects: [] });
    const context = createExecutionContext();
    const error = await worker.fetch(null, env, context).then(() => "answered", String);
    await waitOnExecutionContext(context);
    // A canceled request would continue in the meantime.
    await env.DB.prepare("SELECT 1").run();
    return error;
  }

  test("cancels its request", async () => {
    expect(await leaving(work)).toBe("ClientLeft: The client disconnected.");
    expect(done).toEqual([]);
  });

  test("does not cancel work in the waitUntil of the request", async () => {
    const error = await leaving(async (context) => {
      const all = work();
      context.waitUntil(all);
      await all;
    });
    expect({ error, done }).toEqual({ error: "ClientLeft: The client disconnected.", done: ["paid", "stored"] });
  });

  test("sees the work in the waitUntil of the product", async () => {
    const waits = vi.spyOn(Invocation.prototype, "waitUntil");
    platform.set({ missingMethods: { QUOTA_LEDGER: ["reserve"] } });
    // The product releases the reservation in the background, because the ledger may have granted it.
    expect(await post("/api/enrich/batch-direct", { isbns: ["9780132350884"] })).toMatchObject({ status: 503 });
    expect(waits).toHaveBeenCalled();
    waits.mockRestore();
  });

  test("does not cancel work in the waitUntil of the runtime", async () => {
    let all = Promise.resolve();
    await leaving(async () => {
      all = work();
      waitUntil(all);
      await all;
    });
    await all;
    expect(done).toEqual(["paid", "stored"]);
  });
});

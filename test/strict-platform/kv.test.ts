import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { freshStart } from "../support/worker.ts";
import { platform } from "../../scripts/strict-platform/index.ts";
import { exceeding, inInvocation } from "./support.ts";

const passSeconds = (seconds: number): void => void vi.setSystemTime(Date.now() + seconds * 1_000);
const put = async (key: string, value: string): Promise<void> => env.QUOTA_KV.put(key, value);

beforeEach(async () => {
  await freshStart();
  platform.set({ isKvStale: true });
});

describe("writes", () => {
  test("one per second and key", async () => {
    await inInvocation(async () => put("a", "1"));
    await inInvocation(async () => put("b", "1"));
    const error = "LimitError: KV PUT failed: 429 Too Many Requests for a (platform limit kv_writes_per_second_and_key: 1, got 2)";
    expect(await exceeding(async () => put("a", "2"))).toBe(error);
    expect(await env.QUOTA_KV.get("a")).toBe("1");
    passSeconds(1);
    await inInvocation(async () => put("a", "3"));
    expect(await env.QUOTA_KV.get("a")).toBe("3");
  });

  test("a configured number per UTC day", async () => {
    platform.set({ limits: { kv_writes_per_day: 2 } });
    await inInvocation(async () => put("a", "1"));
    await inInvocation(async () => put("b", "1"));
    expect(await exceeding(async () => put("c", "1"))).toContain("kv_writes_per_day: 2, got 3");
    passSeconds(24 * 60 * 60);
    await inInvocation(async () => put("c", "2"));
    expect(await env.QUOTA_KV.get("c")).toBe("2");
  });
});

describe("a read elsewhere than the write", () => {
  const atWorker = async (key: string): Promise<unknown> => inInvocation(async () => env.QUOTA_KV.get(key, "json"));
  const writeInObject = async (key: string, value: string): Promise<void> => inInvocation(async () => put(key, value), "object");

  test("is up to 60 s old", async () => {
    await writeInObject("a", "1");
    expect(await atWorker("a")).toBe(1);
    passSeconds(1);
    await writeInObject("a", "2");
    expect(await inInvocation(async () => env.QUOTA_KV.get("a"), "object")).toBe("2");
    passSeconds(58);
    expect(await atWorker("a")).toBe(1);
    passSeconds(1);
    expect(await atWorker("a")).toBe(2);
  });

  test("remembers that a key was absent", async () => {
    expect(await atWorker("a")).toBeNull();
    await writeInObject("a", "1");
    passSeconds(59);
    expect(await atWorker("a")).toBeNull();
    passSeconds(1);
    expect(await atWorker("a")).toBe(1);
  });

  test("follows its own cache time", async () => {
    const read = async (): Promise<unknown> => inInvocation(async () => env.QUOTA_KV.get("a", { type: "text", cacheTtl: 30 }));
    expect(await read()).toBeNull();
    await writeInObject("a", "1");
    passSeconds(29);
    expect(await read()).toBeNull();
    passSeconds(1);
    expect(await read()).toBe("1");
  });
});

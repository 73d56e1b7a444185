/** Failures of the ledger and of KV, shared by the tests of flows. */
import { createExecutionContext, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import worker, { QuotaLedger } from "../../worker/src/index.ts";
import { ADMIN_TOKEN, isbnNumber, ledger, post } from "../support/worker.ts";

export const enrichOne = async (n: number) => post("/api/enrich/batch-direct", { isbns: [isbnNumber(n)] });
export const publish = async () => runDurableObjectAlarm(ledger());
export const passSeconds = (seconds: number): void => void vi.setSystemTime(Date.now() + seconds * 1_000);

/** Makes every method of the ledger fail. */
export function failLedger(): void {
  for (const name of [
    "reserve",
    "commit",
    "release",
    "check",
    "status",
    "changeSettings",
    "history",
    "setUsage",
    "reset",
    "add",
  ] as const) {
    vi.spyOn(QuotaLedger.prototype, name).mockRejectedValue(new Error("ledger is unavailable"));
  }
}

/** A KV that refuses everything, for one request. The ledger's own KV is mocked separately. */
export function brokenKv(): KVNamespace {
  const refuse = async () => Promise.reject(new Error("KV PUT failed: 429 Too Many Requests"));
  return { get: refuse, put: refuse } as unknown as KVNamespace;
}

export async function callWith(bindings: Partial<typeof env>, method: string, path: string, body?: unknown) {
  const request = new Request(`http://coordinator.test${path}`, {
    method,
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const response = await worker.fetch(request, { ...env, ...bindings }, createExecutionContext());
  return { status: response.status, headers: response.headers, body: await response.json<Record<string, unknown>>() };
}

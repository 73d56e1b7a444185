/** Requests to the product as admin, and to the Worker of the benchmark. */
import { setTimeout as sleep } from "node:timers/promises";
import { isbn13Of } from "../isbndb-simulator/isbn.ts";
import { ADMIN_TOKEN } from "./workerd.ts";
import type { Workerd } from "./workerd.ts";

export const AS_ADMIN = { authorization: `Bearer ${ADMIN_TOKEN}` };

/** Lifetime of reservations. They outlive the run, so that no round pays for an earlier one. */
export const RESERVATION_SECONDS = 3_600;

const POLL_MS = 10;

/** Sends a request. Throws for an error status. */
export async function send<Body>(workerd: Workerd, method: string, path: string, body?: unknown): Promise<Body> {
  const init = { method, headers: { ...AS_ADMIN, "content-type": "application/json" } };
  const response = await fetch(`${workerd.url("product")}${path}`, body === undefined ? init : { ...init, body: JSON.stringify(body) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 500)}`);
  return JSON.parse(text) as Body;
}

/** Runs work in the Worker of the benchmark. Returns the number of processed items. */
export async function work(workerd: Workerd, path: string, count = 0, key = ""): Promise<number> {
  const response = await fetch(`${workerd.url("bench")}${path}?${new URLSearchParams({ count: String(count), key }).toString()}`);
  const text = await response.text();
  if (!response.ok) throw new Error(`${path}: ${response.status} ${text.slice(0, 500)}`);
  return (JSON.parse(text) as { done: number }).done;
}

interface Job<Result> {
  readonly id: string;
  readonly status: string;
  readonly result: Result | null;
  readonly error?: unknown;
}

/** Starts a job and waits until it has completed. Throws if it fails. */
export async function runJob<Result>(workerd: Workerd, type: string): Promise<Result> {
  const { id } = await send<Job<Result>>(workerd, "POST", "/api/jobs", { type, payload: {} });
  for (;;) {
    const job = await send<Job<Result>>(workerd, "GET", `/api/jobs/${id}`);
    if (job.status === "completed" && job.result !== null) return job.result;
    if (["failed", "cancelled", "completed"].includes(job.status)) throw new Error(`${type}: ${JSON.stringify(job).slice(0, 500)}`);
    await sleep(POLL_MS);
  }
}

/** Creates a project with an API key for all scopes. */
export async function newProject(workerd: Workerd): Promise<{ readonly id: string; readonly key: string }> {
  const { id: organization_id } = await send<{ id: string }>(workerd, "POST", "/api/organizations", { name: "bench" });
  const created = await send<{ project: { id: string }; api_key: { key: string } }>(workerd, "POST", "/api/projects", {
    name: "bench",
    organization_id,
  });
  return { id: created.project.id, key: created.api_key.key };
}

/** `count` valid ISBN-13s. */
export const isbns = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) => isbn13Of(978_100_000_000 + from + index));

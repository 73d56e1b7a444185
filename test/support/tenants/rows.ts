/** Organizations and projects inserted directly into the tables, and the recorded usage. */
import { env } from "cloudflare:workers";
import { AFTERNOON, post } from "../worker.ts";

/** The tests' organizations began long ago, so that their periods begin on the 1st. */
const ANCHOR = Date.parse("2031-01-01T00:00:00Z");
const NOW = Date.parse(AFTERNOON);

export async function addOrganization(id: string, anchor = ANCHOR): Promise<void> {
  const sql = `INSERT INTO organizations (id, name, billing_anchor, changed_by, created_at, updated_at) VALUES (?1, ?1, ?2, 'test', ?3, ?3)`;
  await env.DB.prepare(sql).bind(id, anchor, NOW).run();
}

export async function addProject(id: string, organization: string, lifecycle = "ACTIVE"): Promise<void> {
  const sql = `INSERT INTO projects (id, organization_id, name, lifecycle, changed_by, created_at, updated_at)
    VALUES (?1, ?2, ?1, ?3, 'test', ?4, ?4)`;
  await env.DB.prepare(sql).bind(id, organization, lifecycle, NOW).run();
}

export interface Use {
  readonly id: string;
  readonly project_id: string;
  readonly type: string;
  readonly quantity?: number;
  readonly mode?: "add" | "set";
  readonly source?: string;
  readonly occurred_at?: string;
}

export interface Row {
  readonly index: number;
  readonly id: string | null;
  readonly status: number;
  readonly result: string;
  readonly error?: string;
}

export interface Report {
  readonly received: number;
  readonly counted: number;
  readonly late: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly refused: number;
  readonly results: Row[];
}

/** Reports events with the admin token. The response must be 200. */
export async function report(events: readonly unknown[]): Promise<Report> {
  const { status, body } = await post<Report>("/api/usage/events", { events });
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
  return body;
}

/** The result of each event, in the given order. */
export const outcomes = ({ results }: Report): string[] => results.map(({ status, result }) => `${status} ${result}`);

async function totals(sql: string): Promise<Record<string, number>> {
  const { results } = await env.DB.prepare(sql).all<{ name: string; total: number }>();
  return Object.fromEntries(results.map(({ name, total }) => [name, total]));
}

/** Counters as { "project meter day": used }. */
export const counters = async (): Promise<Record<string, number>> =>
  totals("SELECT project_id || ' ' || meter || ' ' || day AS name, used AS total FROM counters ORDER BY name");
export const adjustments = async (): Promise<Record<string, number>> =>
  totals("SELECT project_id || ' ' || meter || ' ' || day AS name, quantity AS total FROM adjustments ORDER BY name");
/** Gauges as { "project meter": level }. A gauge without reports is missing. */
export const gauges = async (): Promise<Record<string, number>> =>
  totals("SELECT project_id || ' ' || meter AS name, level AS total FROM gauges ORDER BY name");

/** Billing periods as { "organization period": [api_calls, adjustments] }. */
export async function periods(): Promise<Record<string, [number, number]>> {
  const sql = "SELECT organization_id || ' ' || period_index AS name, api_calls, adjustments FROM billing_periods ORDER BY name";
  const { results } = await env.DB.prepare(sql).all<{ name: string; api_calls: number; adjustments: number }>();
  return Object.fromEntries(results.map(({ name, api_calls, adjustments }) => [name, [api_calls, adjustments]]));
}

/** Everything that a report may change. */
export const moved = async () => ({
  counters: await counters(),
  adjustments: await adjustments(),
  gauges: await gauges(),
  periods: await periods(),
});

/** Numbers from 0 to 1 that look random, and are the same for the same seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const keyed = items.map((item) => ({ item, key: random() }));
  return keyed.toSorted((a, b) => a.key - b.key).map(({ item }) => item);
}

export const split = <Item>(items: readonly Item[], size: number): Item[][] =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size));

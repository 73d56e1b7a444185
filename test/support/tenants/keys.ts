/** Projects created through the API and called with their own keys, and a database that counts and fails on demand. */
import { env } from "cloudflare:workers";
import { callWith } from "../../routes/support.ts";
import type { Reply } from "../../routes/support.ts";
import { call, post } from "../worker.ts";
import type { Answer } from "../worker.ts";

export interface Tenant {
  readonly id: string;
  readonly key: string;
  readonly keyId: string;
}

async function made<Body>(path: string, body: unknown): Promise<Body> {
  const answer = await post<Body>(path, body);
  if (answer.status !== 201) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** An organization whose periods begin on the 1st. */
export async function organization(id: string, apiCalls: number | null = null, anchor = "2031-01-01T00:00:00Z"): Promise<void> {
  await made("/api/organizations", { id, name: id, billing_anchor: anchor, quotas: { api_calls: apiCalls } });
}

/** A project with its first key. `more` adds fields to the body. */
export async function tenant(id: string, owner: string, more: Record<string, unknown> = {}): Promise<Tenant> {
  const { api_key } = await made<{ api_key: { id: string; key: string } }>("/api/projects", {
    id,
    organization_id: owner,
    name: id,
    ...more,
  });
  return { id, key: api_key.key, keyId: api_key.id };
}

/** A further key of a project. */
export async function addKey(id: string, body: Record<string, unknown> = {}): Promise<Tenant> {
  const added = await made<{ id: string; key: string }>(`/api/projects/${id}/keys`, body);
  return { id, key: added.key, keyId: added.id };
}

export const by = async (key: string, method: string, path: string, body?: unknown): Promise<Answer> =>
  call(method, path, body, { token: key });

export const enrich = async (key: string, isbns: readonly string[]): Promise<Answer> =>
  by(key, "POST", "/api/enrich/batch-direct", { isbns });

/** "200", or the refusal: "429 cap_exceeded". */
export const statusText = ({ status, body }: Pick<Answer, "status" | "body">): string =>
  status < 400 ? String(status) : `${status} ${String(body["code"])}`;

/** Number of responses of each kind. */
export function countStatuses(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const answer of answers) counts[statusText(answer)] = (counts[statusText(answer)] ?? 0) + 1;
  return counts;
}

/** Statements of one round trip to the database. */
export type Trip = readonly string[];

/** When a query fails: before its write, after its write (only the response is lost), or by hanging. */
type Failure = "before" | "after" | "never" | null;

interface Watched {
  readonly db: D1Database;
  readonly trips: Trip[];
}

const HOOKED = new Set(["run", "all", "first", "raw"]);

/** A database of the test, which records each query. `fail` decides about each, with its number from 0. */
export function watchedDb(fail: (trip: Trip, index: number) => Failure = () => null, binding = env.DB): Watched {
  const trips: Trip[] = [];
  const natives = new WeakMap<object, { native: D1PreparedStatement; sql: string }>();

  const travel = async <Result>(trip: Trip, go: () => Promise<Result>): Promise<Result> => {
    const failure = fail(trip, trips.push(trip) - 1);
    if (failure === "never") await new Promise(() => undefined);
    if (failure === "before") throw new Error("D1_ERROR: the network is down");
    const result = await go();
    if (failure === "after") throw new Error("D1_ERROR: the response was lost");
    return result;
  };

  const statement = (native: D1PreparedStatement, sql: string): D1PreparedStatement => {
    const proxy = new Proxy(native, {
      get(target, name) {
        if (name === "bind") return (...values: unknown[]) => statement(target.bind(...values), sql);
        const member: unknown = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        const bound = member.bind(target) as (...values: unknown[]) => Promise<unknown>;
        return HOOKED.has(String(name)) ? async (...values: unknown[]) => travel([sql], async () => bound(...values)) : bound;
      },
    });
    natives.set(proxy, { native, sql });
    return proxy;
  };

  const db = new Proxy(binding, {
    get(target, name) {
      if (name === "prepare") return (sql: string) => statement(target.prepare(sql), sql);
      if (name === "batch") {
        return async (statements: D1PreparedStatement[]) => {
          const known = statements.map((each) => natives.get(each)).filter((each) => each !== undefined);
          return travel(
            known.map(({ sql }) => sql),
            async () => target.batch(known.map(({ native }) => native)),
          );
        };
      }
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
  return { db, trips };
}

/** One request of a project to a Worker with other bindings. Returns when the background work is done too. */
export async function byWith(changed: Record<string, unknown>, key: string, method: string, path: string, body?: unknown): Promise<Reply> {
  const headers = { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { "content-type": "application/json" }) };
  return callWith(changed, path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
}

export const enrichWith = async (changed: Record<string, unknown>, key: string, isbns: readonly string[]): Promise<Reply> =>
  byWith(changed, key, "POST", "/api/enrich/batch-direct", { isbns });

/** Organizations and projects created through the API with the admin token. */
import { expect } from "vitest";
import { env } from "cloudflare:workers";
import { call, get, post } from "../worker.ts";
import type { Answer } from "../worker.ts";

export type Body = Record<string, unknown>;

export interface ShownProject extends Body {
  readonly id: string;
  readonly status: string;
  readonly reasons: readonly { reason: string; until?: string; detail?: string }[];
  readonly caps: Record<string, number | null>;
}

export interface Entry {
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly project_id: string | null;
  readonly operation: string;
  readonly before: Body | null;
  readonly after: Body | null;
}

export const patch = async <Shown = Body>(path: string, body: unknown): Promise<Answer<Shown>> => call<Shown>("PATCH", path, body);
export const remove = async <Shown = Body>(path: string): Promise<Answer<Shown>> => call<Shown>("DELETE", path);

/** The body of a response that must be successful. */
export function right<Shown>({ status, body }: Answer<Shown>): Shown {
  if (status >= 300) throw new Error(`${status} ${JSON.stringify(body)}`);
  return body;
}

/** Status, code and the refused fields. */
export const refusal = ({ status, body }: Answer): unknown => {
  const errors = body["errors"] as { path: string }[] | undefined;
  return { status, code: body["code"], ...(errors ? { paths: errors.map(({ path }) => path) } : {}) };
};

export async function makeOrganization(id: string, more: Body = {}): Promise<Body> {
  return right(await post("/api/organizations", { id, name: `Organization ${id}`, ...more }));
}

export interface MadeProject {
  readonly project: ShownProject;
  readonly api_key: { readonly id: string; readonly key: string };
}

export async function makeProject(id: string, more: Body = {}): Promise<MadeProject> {
  const made = right(await post<MadeProject>("/api/projects", { id, organization_id: "org", name: `Project ${id}`, ...more }));
  // The project once it is ready.
  return { ...made, project: await readProject(id) };
}

export const readProject = async (id: string): Promise<ShownProject> => right(await get<ShownProject>(`/api/projects/${id}`));

/** All audit entries, newest first. */
export async function audit(query = ""): Promise<Entry[]> {
  return right(await get<{ entries: Entry[] }>(`/api/audit?limit=200&${query}`)).entries;
}

/** Audit entries as "action subject", oldest first. */
export async function audited(query = ""): Promise<string[]> {
  return (await audit(query)).map(({ action, subject }) => `${action} ${subject}`).toReversed();
}

/** A reason as the sweep writes it. */
export async function stop(project: string, reason: string, until: number | null = null): Promise<void> {
  const type = reason.startsWith("quota:") ? reason.slice("quota:".length) : null;
  const sql = "INSERT INTO suspensions (project_id, reason, cap_type, since, until, actor) VALUES (?, ?, ?, ?, ?, 'job:sweep')";
  await env.DB.prepare(sql).bind(project, reason, type, Date.now(), until).run();
}

/** Sets a project's usage of a counter, by default for the test's current day. */
export async function count(project: string, meter: string, used: number, day = "2031-05-14"): Promise<void> {
  const sql = "INSERT INTO counters (project_id, meter, day, used) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET used = excluded.used";
  await env.DB.prepare(sql).bind(project, meter, day, used).run();
}

/** The level of a gauge. */
export async function level(project: string, meter: string, at: number): Promise<void> {
  const sql = `INSERT INTO gauges (project_id, meter, level, set_at, set_by, set_in, updated_at) VALUES (?, ?, ?, 0, 'test', 'test', ?)
    ON CONFLICT DO UPDATE SET level = excluded.level`;
  await env.DB.prepare(sql).bind(project, meter, at, Date.now()).run();
}

/** A database that makes a concurrent change just before the first write. */
export function outrun(faster: () => Promise<unknown>): D1Database {
  let first = true;
  return new Proxy(env.DB, {
    get(target, name) {
      if (name !== "batch") return (Reflect.get(target, name) as CallableFunction).bind(target) as unknown;
      return async (statements: D1PreparedStatement[]) => {
        if (first) {
          first = false;
          await faster();
        }
        return target.batch(statements);
      };
    },
  });
}

export async function rows(sql: string, ...values: unknown[]): Promise<Body[]> {
  const { results } = await env.DB.prepare(sql)
    .bind(...values)
    .all();
  return results;
}

/** Every page of a list, one after the other. `between` runs after each. */
export async function allPages<Row>(
  path: string,
  rowsOf: (body: Body) => readonly Row[],
  between: (page: number) => Promise<void> = async () => undefined,
): Promise<{ readonly found: Row[]; readonly pages: number }> {
  const found: Row[] = [];
  let cursor: string | null = null;
  let pages = 0;
  do {
    const address: string = `${path}${path.includes("?") ? "&" : "?"}${cursor === null ? "" : `cursor=${cursor}`}`;
    const body: Body = right(await get(address));
    found.push(...rowsOf(body));
    cursor = body["next_cursor"] as string | null;
    pages += 1;
    await between(pages);
    expect(pages).toBeLessThan(1_000);
  } while (cursor !== null);
  return { found, pages };
}

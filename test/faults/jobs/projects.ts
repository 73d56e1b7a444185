/** Creates projects that are provisioned already, without the job. */
import { env } from "cloudflare:workers";
import { CAP_TYPES } from "../../../worker/src/store/limits/meters.ts";

/** A project of the organization `org`, with caps of 100 and the given number of queries today. */
export async function readyProject(id: string, queries = 0): Promise<void> {
  const now = Date.now();
  const project = `INSERT INTO projects (id, organization_id, name, changed_by, provisioning, created_at, updated_at)
    VALUES (?1, 'org', ?1, 'test', 'done', ?2, ?2)`;
  const caps = "INSERT INTO caps (project_id, cap_type, value, updated_at) SELECT ?1, value, 100, ?2 FROM json_each(?3)";
  await env.DB.batch([
    env.DB.prepare(project).bind(id, now),
    env.DB.prepare(caps).bind(id, now, JSON.stringify(CAP_TYPES)),
    env.DB.prepare("INSERT INTO counters VALUES (?, 'db_queries_per_day', ?, ?)").bind(
      id,
      new Date(now).toISOString().slice(0, 10),
      queries,
    ),
  ]);
}

const database = env.TENANT_DATABASE.getByName.bind(env.TENANT_DATABASE);

/** A project's database, without faults. */
export const databaseOf = (name: string): ReturnType<typeof database> => database(name);

/** Creates a table with one row. */
export async function fillDatabase(name: string): Promise<void> {
  await database(name).beginImport("content");
  await database(name).importPart("content", 0, "CREATE TABLE t(x);INSERT INTO t VALUES (1);");
  await database(name).finishImport("content", 0);
}

/** Creates the organization `org`, whose period has no end. */
export async function makeOrganization(): Promise<void> {
  await env.DB.batch([
    env.DB.prepare(
      "INSERT INTO organizations (id, name, billing_anchor, changed_by, created_at, updated_at) VALUES ('org', 'Org', 0, 'test', 0, 0)",
    ),
    env.DB.prepare("INSERT INTO billing_periods (organization_id, period_index, starts_at, ends_at) VALUES ('org', 0, 0, ?)").bind(
      Number.MAX_SAFE_INTEGER,
    ),
  ]);
}

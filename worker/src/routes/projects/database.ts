/** Queries of a project's own database. */
import { z } from "@hono/zod-openapi";
import { Problem, invalidField } from "../../errors.ts";
import { ofProject } from "../../http/fields.ts";
import { hiddenProject, metered } from "../../http/guards.ts";
import { createRouter } from "../../http/index.ts";
import type { Busy } from "../../tenant-database/index.ts";
import { readyProject } from "../../tenants/projects/projects.ts";
import { answer, jsonBody, meteredProject, operations } from "../operation.ts";

export const databaseRoutes = createRouter();
const operation = operations(databaseRoutes, "Database", meteredProject, ["database_busy", "storage_unavailable"]);

const MAX_ROWS = 10_000;
const DEFAULT_ROWS = 1_000;
/** Limits of the platform. */
const MAX_SQL_CHARACTERS = 100_000;
const MAX_PARAMS = 100;

/** One statement is one query of the project, and one call of its organization. */
const QUERY = { scope: "database", kind: "use", meter: "db_queries_per_day" } as const;

const tagged = [
  z.strictObject({ $int: z.string() }).describe("A 64-bit integer as digits"),
  z.strictObject({ $real: z.string() }).describe("A real number such as `1.0`, which equals 1 in JSON, or `Infinity`"),
  z.strictObject({ $blob: z.string() }).describe("Bytes in base64"),
] as const;

const parameter = z.union([z.null(), z.boolean(), z.number(), z.string(), ...tagged]);

const queryBody = z
  .strictObject({
    sql: z.string().min(1).max(MAX_SQL_CHARACTERS).describe("One SQL statement for SQLite"),
    params: z
      .array(parameter)
      .max(MAX_PARAMS)
      .default([])
      .describe("Values for `?` and `?n` in order. Whole numbers are integers, true is 1, false is 0"),
    read_only: z.boolean().default(false).describe("Refuse statements that write"),
    max_rows: z.int().min(1).max(MAX_ROWS).default(DEFAULT_ROWS).describe("Maximum number of rows in the response"),
  })
  .openapi({ example: { sql: "SELECT name, sql FROM sqlite_schema WHERE type = ?", params: ["table"], read_only: true } });

const queryAnswer = z
  .object({
    columns: z.array(z.string()).readonly(),
    rows: z
      .array(z.array(z.union([z.null(), z.number(), z.string(), ...tagged])).readonly())
      .readonly()
      .describe("Values in the order of `columns`. Values without a JSON form are objects, which are also valid parameters"),
    row_count: z.int().describe("Rows in this response"),
    truncated: z.boolean().describe("More rows exist. `max_rows` or the limit of 4 MiB cut the response"),
    rows_read: z.int().describe("Rows counted by SQLite for this statement, including indexes"),
    rows_written: z.int().describe("Rows counted by SQLite for this statement, including indexes"),
    duration_ms: z.int(),
    schema_version: z.int().describe("Version of the applied migrations. 0: none"),
  })
  .openapi("QueryResult");

operation("post", "/projects/{id}/database/query", {
  summary: "Run an SQL statement on a project's database",
  description:
    "Each statement is one transaction. It counts when SQLite has received it, even if it fails (422 with `counted: true`). An earlier refusal does not count. During the dump of a backup, writes get 503 `database_busy`. A statement cannot be cancelled. It stops at 5,000,000 rows read, or at the platform's limit of 30 s CPU.",
  request: { params: ofProject, body: jsonBody(queryBody) },
  responses: { 200: answer("Rows and cost of the statement", queryAnswer) },
  problems: ["unprocessable", "cap_exceeded"],
}).handle(async (c) => {
  const { id } = c.req.valid("param");
  const { sql, params, read_only: readOnly, max_rows: maxRows } = c.req.valid("json");
  return metered(c, QUERY, async (caller) => {
    const deps = c.get("deps");
    if (caller.kind === "admin") await readyProject(deps, id);
    else if (caller.projectId !== id) throw hiddenProject(id);
    const began = deps.clock();
    const answer = await deps.tenantDatabases.query(id, { sql, params, readOnly, maxRows });
    switch (answer.result) {
      case "rows": {
        const { columns, rows, truncated, rowsRead, rowsWritten, schemaVersion } = answer;
        const counts = { row_count: rows.length, truncated, rows_read: rowsRead, rows_written: rowsWritten };
        return c.json({ columns, rows, ...counts, duration_ms: deps.clock() - began, schema_version: schemaVersion }, 200);
      }
      case "refused":
        throw invalidField(answer.path, answer.message, undefined, "unprocessable");
      case "busy":
        throw busy(answer);
      case "failed": {
        // It ran and used the database, so the use stays counted.
        const { detail, members } = invalidField("sql", `failed: ${answer.message}`, undefined, "unprocessable");
        throw new Problem("unprocessable", detail, { members: { ...members, counted: true } });
      }
    }
  });
});

function busy({ why, retryAfterSeconds }: Busy): Problem {
  const reasons = {
    frozen: "A backup of this database is in progress. Reads continue. Writes are refused until it has finished.",
    importing: "A backup is being restored into this database. Queries are refused until it has finished.",
  };
  return new Problem("database_busy", reasons[why], { retryAfterSeconds });
}

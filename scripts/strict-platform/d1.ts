/** D1: statements per invocation, sizes of statements and values, and a full database. */
import { currentInvocation, operation } from "./invocation.ts";
import { textBytes } from "./limits.ts";
import { platform } from "./platform.ts";
import { replace } from "./replace.ts";

/** Statements that make a database larger. Comments and WITH may precede the verb. */
const WRITES = /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(?:insert|update|replace|create|alter)\b|\)\s*(?:insert|update|replace)\b/iu;
const RUNNERS = ["run", "all", "first", "raw"];

interface Prepared {
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** SQL and values of every statement, because D1's own class does not show them. */
const prepared = new WeakMap<object, Prepared>();

function bytesOf(value: unknown): number {
  if (typeof value === "string") return textBytes(value);
  return value instanceof ArrayBuffer || ArrayBuffer.isView(value) ? value.byteLength : 0;
}

function check({ sql, values }: Prepared): void {
  platform.check("d1_statement_bytes", textBytes(sql), "D1_ERROR: statement too long: SQLITE_TOOBIG");
  platform.check("d1_bound_parameters", values.length, "D1_ERROR: too many SQL variables: SQLITE_ERROR");
  for (const value of values) platform.check("d1_bound_value_bytes", bytesOf(value), "D1_ERROR: string or blob too big: SQLITE_TOOBIG");
  if (platform.settings.isDatabaseFull && WRITES.test(sql)) throw new Error("D1_ERROR: Exceeded maximum DB size");
}

/** One request to D1 with these statements. */
async function query(statements: readonly object[], run: () => Promise<unknown>): Promise<unknown> {
  const invocation = currentInvocation();
  if (invocation === undefined) return run();
  const known = statements.map((each) => prepared.get(each)).filter((each) => each !== undefined);
  invocation.statements += statements.length;
  const reason = "D1_ERROR: too many API requests by single worker invocation";
  platform.check("d1_statements_per_invocation", invocation.statements, reason);
  for (const each of known) check(each);
  return operation(`D1 ${known.map(({ sql }) => sql).join("; ")}`, run);
}

function strictStatement(statement: object, sql: string, values: readonly unknown[] = []): object {
  prepared.set(statement, { sql, values });
  replace(
    statement,
    "bind",
    (bind) =>
      (...given) =>
        strictStatement(bind(...given) as object, sql, given),
  );
  for (const name of RUNNERS) {
    replace(
      statement,
      name,
      (run) =>
        async (...given) =>
          query([statement], async () => run(...given)),
    );
  }
  return statement;
}

export function strictD1(database: object): void {
  replace(database, "prepare", (prepare) => (sql) => strictStatement(prepare(sql) as object, String(sql)));
  replace(database, "batch", (batch) => async (statements) => query(statements as object[], async () => batch(statements)));
  replace(database, "exec", (exec) => async (sql) => query([database], async () => exec(sql)));
}

/** Clients of tenants' databases. An acknowledged row exists once, and a refused one does not exist. */
import type { Random } from "../random.ts";
import type { Tenant, TenantName, Tenants } from "../tenants.ts";
import type { Storm } from "../storm.ts";
import { metered } from "./metered.ts";

const WHO: readonly (readonly [TenantName, number])[] = [
  ["readers", 50],
  ["tight", 15],
  ["thrifty", 10],
  ["toggled", 20],
  ["stopped", 5],
];

type Fate = "there" | "refused" | "unknown";

/** The parts of a storm that this one uses. */
interface Around {
  readonly storm: Storm;
  readonly tenants: Tenants;
  readonly rows: RowBook;
}

export class RowBook {
  /** Result of each row, by project and then by the row's id. */
  readonly rows = new Map<string, Map<string, Fate>>();
  #number = 0;

  next(): string {
    this.#number += 1;
    return `row-${this.#number}`;
  }

  of(project: string): Map<string, Fate> {
    const rows = this.rows.get(project) ?? new Map<string, Fate>();
    this.rows.set(project, rows);
    return rows;
  }
}

const TABLE = "CREATE TABLE IF NOT EXISTS storm (id TEXT PRIMARY KEY, text TEXT NOT NULL)";
const INSERT = "INSERT INTO storm (id, text) VALUES (?, ?)";
const SELECT = "SELECT count(*), max(length(text)) FROM storm";
/** SQLite receives and refuses the statement, so it counts. */
const WRONG = "INSERT INTO storm (id) VALUES ('without a text')";

const METER = "db_queries_per_day";

/** Uses the admin token, so that the query is not counted. */
export async function makeTables({ storm, tenants }: Around): Promise<void> {
  const names = WHO.map(([name]) => name);
  await Promise.all(names.map(async (name) => storm.insist("setting up", { method: "POST", ...at(tenants[name]), body: { sql: TABLE } })));
}

export async function query({ storm, tenants, rows }: Around, random: Random): Promise<void> {
  const tenant = tenants[random.weighted(WHO)];
  const kind = random.weighted([["insert", 6] as const, ["select", 3] as const, ["wrong", 1] as const]);
  const id = rows.next();
  const params = kind === "insert" ? [id, "x".repeat(random.whole(1, 2_000))] : [];
  const sql = { insert: INSERT, select: SELECT, wrong: WRONG }[kind];
  const book = rows.of(tenant.id);
  const answer = await metered(
    storm,
    { tenant, meter: METER, kind: `query: ${kind}` },
    { method: "POST", ...at(tenant), body: { sql, params } },
  );
  if (kind === "insert") book.set(id, answer === null ? "unknown" : answer.status === 200 ? "there" : fateOf(answer.status));
  if (kind === "wrong" && answer?.status === 200) storm.journal.fault(`a wrong statement was answered 200: ${answer.text}`);
}

/** A request that failed may have been written before it failed. */
const fateOf = (status: number): Fate => (status === 503 ? "unknown" : "refused");

const at = ({ id }: Tenant) => ({ path: `/api/projects/${id}/database/query` });

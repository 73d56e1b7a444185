/** Compares counters, allowances, rows of tenants' databases, suspensions and warnings with the clients' records. */
import type { UsageEvent } from "../clients/reporting.ts";
import { ALLOWANCE, MONTHLY, TENANT_NAMES } from "../tenants.ts";
import type { World } from "../world.ts";
import { Comparison, total } from "./compare.ts";

const METERS = ["db_queries_per_day", "function_invocations_per_day"] as const;

interface Counter {
  readonly project_id: string;
  readonly meter: string;
  readonly used: number;
}

export async function tenantBooks(world: World): Promise<{ discrepancies: string[]; figures: Record<string, number> }> {
  const books = new Comparison();
  const counters = await world.storm.d1<Counter>("SELECT project_id, meter, sum(used) AS used FROM counters GROUP BY 1, 2");
  const used = (project: string, meter: string): number =>
    counters.find((row) => row.project_id === project && row.meter === meter)?.used ?? 0;
  await requests(world, books, used);
  await reported(world, books, used);
  await rowsOfTenants(world, books);
  await suspensions(world, books);
  await warnings(world, books);
  const figures: Record<string, number> = {};
  for (const { project_id, meter, used: count } of counters) figures[`${project_id}: ${meter}`] = count;
  return { discrepancies: books.discrepancies, figures };
}

type Used = (project: string, meter: string) => number;

async function requests({ storm, tenants }: World, books: Comparison, used: Used): Promise<void> {
  const caps = await storm.d1<{ project_id: string; cap_type: string; value: number | null }>(
    "SELECT project_id, cap_type, value FROM caps",
  );
  for (const project of TENANT_NAMES) {
    for (const meter of METERS) {
      books.within(`${meter} of ${project}`, used(project, meter), storm.journal.bounds(project, meter));
      const cap = caps.find((row) => row.project_id === project && row.cap_type === meter)?.value ?? Infinity;
      books.within(`${meter} of ${project} below its cap`, used(project, meter), { least: 0, most: cap });
    }
  }
  const periods = await storm.d1<{ organization_id: string; api_calls: number }>(
    "SELECT organization_id, sum(api_calls) AS api_calls FROM billing_periods GROUP BY 1",
  );
  const billed = (organization: string): number => periods.find((row) => row.organization_id === organization)?.api_calls ?? 0;
  for (const organization of ["org_open", ALLOWANCE]) {
    const own = TENANT_NAMES.filter((name) => tenants[name].organization === organization);
    const sum = total(own.flatMap((name) => METERS.map((meter) => used(name, meter))));
    books.same(`calls of ${organization} this month`, billed(organization), sum);
  }
  books.within("the month's allowance", billed(ALLOWANCE), { least: 0, most: MONTHLY });
}

/** Each acknowledged event counts once, regardless of its first report. */
async function reported({ storm, reports }: World, books: Comparison, used: Used): Promise<void> {
  const events = [...reports.events.values()];
  const sum = (type: UsageEvent["type"]): number => total(events.flatMap((event) => (event.type === type ? [event.quantity] : [])));
  books.same("uploads", used("reported", "storage_uploads_per_day"), sum("storage_uploads_per_day"));
  const [gauge] = await storm.d1<{ level: number }>("SELECT level FROM gauges WHERE project_id = 'reported'");
  books.same("open connections", gauge?.level ?? 0, levelOf(events));
  const [period] = await storm.d1<{ api_calls: number }>(
    "SELECT sum(api_calls) AS api_calls FROM billing_periods WHERE organization_id = 'org_reported'",
  );
  books.same("calls that others reported", period?.api_calls ?? 0, sum("api_calls"));
  books.same("adjustments", await storm.d1("SELECT * FROM adjustments"), []);
  const [stored] = await storm.d1<{ events: number }>("SELECT count(*) AS events FROM usage_events");
  books.same("stored events", stored?.events, events.length);
}

/** The latest set and all later additions, in any order. */
function levelOf(events: readonly UsageEvent[]): number {
  const moves = events.filter(({ type }) => type === "realtime_connections");
  const name = ({ source, id }: UsageEvent): string => `${source}\u001F${id}`;
  const latest = moves
    .filter(({ mode }) => mode === "set")
    .toSorted((a, b) => (a.occurred_at < b.occurred_at ? -1 : a.occurred_at > b.occurred_at ? 1 : name(a) < name(b) ? -1 : 1))
    .at(-1);
  const added = moves.filter(({ mode, occurred_at }) => mode === "add" && (latest === undefined || occurred_at > latest.occurred_at));
  return (latest?.quantity ?? 0) + total(added.map(({ quantity }) => quantity));
}

async function rowsOfTenants({ storm, rows }: World, books: Comparison): Promise<void> {
  for (const [project, fates] of rows.rows) {
    const found = await storm.tenant<{ id: string }>(project, "SELECT id FROM storm");
    const there = new Set(found.map(({ id }) => id));
    books.none(
      `rows of ${project} that were acknowledged and are lost`,
      [...fates].filter(([id, fate]) => fate === "there" && !there.has(id)),
    );
    books.none(
      `rows of ${project} that were refused and are there`,
      [...there].filter((id) => (fates.get(id) ?? "refused") === "refused"),
    );
  }
}

async function suspensions({ storm, operator }: World, books: Comparison): Promise<void> {
  const { journal } = storm;
  const all = await storm.d1<{ seq: number; project_id: string; reason: string }>("SELECT seq, project_id, reason FROM suspensions");
  const unfounded = await storm.d1(
    `SELECT s.* FROM suspensions s WHERE s.reason LIKE 'quota:%' AND NOT EXISTS (SELECT 1 FROM evaluations e
       WHERE e.project_id = s.project_id AND e.cap_type = s.cap_type AND e.run = s.actor AND e.decision = 'suspended' AND e.dry_run = 0 AND e.used >= e.cap)`,
  );
  books.none("suspensions without evidence", unfounded);
  books.none(
    "unrequested suspensions",
    all.filter(({ project_id, reason }) =>
      reason.startsWith("quota:") ? project_id === "stopped" : reason !== "admin" || !["stopped", "toggled"].includes(project_id),
    ),
  );
  const byHand = all.filter(({ project_id, reason }) => project_id === "toggled" && reason === "admin").length;
  books.same("suspensions by hand", byHand, operator.stops.length);
  books.none(
    "stopped projects that were served",
    journal.served.filter(({ project }) => project === "stopped"),
  );
  books.none(
    "projects that were served while they were stopped",
    journal.served.filter(
      ({ project, askedAt, answeredAt }) =>
        project === "toggled" && operator.stops.some(({ from, until }) => askedAt > from && answeredAt < until),
    ),
  );
}

async function warnings({ storm }: World, books: Comparison): Promise<void> {
  const twice = await storm.d1(
    `SELECT project_id, cap_type, period, revision, threshold, count(*) AS times FROM evaluations
     WHERE decision = 'warned' AND dry_run = 0 GROUP BY 1, 2, 3, 4, 5 HAVING times > 1`,
  );
  books.none("warnings that were given twice", twice);
  const count = async (sql: string) => (await storm.d1<{ n: number }>(sql))[0]?.n;
  const decided = await count("SELECT count(*) AS n FROM evaluations WHERE decision = 'warned' AND dry_run = 0");
  books.same("warnings with an event", await count("SELECT count(*) AS n FROM events WHERE type = 'quota.warning'"), decided);
}

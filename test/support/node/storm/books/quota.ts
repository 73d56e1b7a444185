/** The provider's count, the ledger, its callers, and the responses to the clients. */
import { HAND } from "../clients/holding.ts";
import { SHARE } from "../tenants.ts";
import type { World } from "../world.ts";
import { Comparison, total } from "./compare.ts";

interface ReservationRow {
  readonly id: string;
  readonly caller: string;
  readonly state: "held" | "committed" | "released" | "expired" | "late";
  readonly charged: number | null;
}

interface SimulatorState {
  readonly spent: number;
  readonly by_endpoint: Readonly<Record<string, { readonly requests: number; readonly billed_requests: number; readonly calls: number }>>;
}

interface CallerUse {
  readonly caller: string;
  readonly used: number;
}

/** Explanations of charges above the bill. */
export interface QuotaFigures {
  readonly billed: number;
  readonly charged: number;
  /** Clients that disappeared with unspent reservations. */
  readonly handOver: number;
  /** Calls that the provider refused or did not process, but that were charged. */
  readonly unbilled: number;
  /** Granted calls whose Worker was killed before the request was sent or confirmed. */
  readonly unseen: number;
  readonly refused: number;
  readonly outcomes: Readonly<Record<string, number>>;
}

const FREE = new Set(["GET /key", "GET /feeds/books/updates", "unauthorized"]);
/** Outcomes that do not show whether the provider received the request. */
const UNCERTAIN = ["unknown", "timed_out", "connection_lost"];

export async function quotaBooks(world: World): Promise<{ discrepancies: string[]; figures: QuotaFigures }> {
  const { storm, operator } = world;
  const books = new Comparison();
  const rows = await storm.ledger<ReservationRow>("SELECT id, caller, state, charged FROM reservations");
  const [day] = await storm.ledger<{ charged: number; untracked: number; refused: number }>(
    "SELECT charged, untracked, refused FROM days ORDER BY date DESC",
  );
  const sumOf = async (table: string) => (await storm.ledger<{ used: number }>(`SELECT sum(used) AS used FROM ${table}`))[0]?.used ?? 0;
  const charged = day?.charged ?? 0;
  books.same("reservations that were charged", total(rows.map((row) => row.charged ?? 0)), charged);
  for (const table of ["usage", "callers", "hours"]) books.same(`the sum of ${table}`, await sumOf(table), charged);
  books.none(
    "reservations still held",
    rows.filter(({ state }) => state === "held"),
  );

  const { body: status } = await storm.insist("status", { path: "/api/quota/status" });
  const callers = new Map((status["callers"] as readonly CallerUse[]).map(({ caller, used }) => [caller, used]));
  books.same("used calls", status["used"], charged);
  books.same("reserved calls", status["reserved"], 0);
  books.same("the callers' used calls", total(callers.values()), charged);
  books.same("untracked calls", day?.untracked, 0);
  books.same("the limit", status["safety_limit"], operator.limit);
  books.holds(`${charged} are used of ${operator.limit}`, charged <= operator.limit);
  const { body: history } = await storm.insist("history", { path: "/api/quota/history?days=1" });
  const [today] = history["days"] as readonly { used: number; callers: readonly CallerUse[]; hours: readonly { used: number }[] }[];
  books.same("the history", today?.used, charged);
  books.same("the history's callers", total((today?.callers ?? []).map(({ used }) => used)), charged);
  books.same("the history's hours", total((today?.hours ?? []).map(({ used }) => used)), charged);
  books.within("a project's share", callers.get("project:share") ?? 0, { least: 0, most: SHARE });

  const figures = await provider(world, books, { rows, charged, refused: day?.refused ?? 0 });
  compareCallers(world, books, { rows, callers });
  return { discrepancies: books.discrepancies, figures };
}

const byHand = ({ id }: ReservationRow): boolean => /(^|:)hold-\d+$/u.test(id);
const wasCharged = ({ charged }: ReservationRow): boolean => (charged ?? 0) > 0;

/** Every billed call was charged, and charges above the bill are explained call by call. */
async function provider(
  { storm, holds }: World,
  books: Comparison,
  { rows, charged, refused }: { rows: readonly ReservationRow[]; charged: number; refused: number },
): Promise<QuotaFigures> {
  const { spent, by_endpoint } = await storm.control<SimulatorState>("GET", "/state");
  const paid = Object.entries(by_endpoint).flatMap(([endpoint, totals]) => (FREE.has(endpoint) ? [] : [totals]));
  const seen = total(paid.map(({ requests }) => requests));
  const billedRequests = total(paid.map(({ billed_requests }) => billed_requests));
  const billedCalls = total(paid.map(({ calls }) => calls));
  const spentByHand = total([...holds.holds.values()].map((hold) => hold.spent));
  books.same("calls a request", billedCalls, billedRequests);
  books.same("the provider's count", spent, billedCalls + spentByHand);
  books.holds(`the provider billed ${spent}, and ${charged} were charged`, spent <= charged);

  const requests = rows.filter((row) => !byHand(row) && wasCharged(row));
  const tallies = await storm.ledger<{ label: string; count: number }>("SELECT label, count FROM tallies WHERE name = 'requests'");
  const outcomes = Object.fromEntries(tallies.map(({ label, count }) => [label, count]));
  const uncertain = rows.filter((row) => !byHand(row) && (row.state === "expired" || row.state === "late")).length;
  const ambiguous = uncertain + total(UNCERTAIN.slice(1).map((label) => outcomes[label] ?? 0));
  books.same("the charge of a request", total(requests.map((row) => row.charged ?? 0)), requests.length);
  const unseen = requests.length - seen;
  books.within("requests that were charged, and that the provider never saw", unseen, { least: 0, most: ambiguous });
  const [unbilled, handOver] = [seen - billedRequests, total([...holds.holds.values()].map((hold) => hold.charge - hold.spent))];
  books.same("charged beyond the bill", charged - spent, unbilled + unseen + handOver);
  return { billed: spent, charged, handOver, unbilled, unseen, refused, outcomes };
}

/** The ledger has the calls that clients reported under their names. It has more only if a response was lost or a reservation expired. */
function compareCallers(
  { storm, holds }: World,
  books: Comparison,
  { rows, callers }: { rows: readonly ReservationRow[]; callers: ReadonlyMap<string, number> },
): void {
  const handOf = (caller: string): number =>
    total([...holds.holds.values()].flatMap((hold) => (hold.caller === caller ? [hold.charge] : [])));
  books.same("calls spent with reservations", callers.get(HAND) ?? 0, handOf(HAND));
  for (const [name, reported] of storm.journal.figures) {
    const caller = /^reported (.+)$/u.exec(name)?.[1];
    if (caller === undefined) continue;
    const used = (callers.get(caller) ?? 0) - handOf(caller);
    const unsettled = rows.filter((row) => row.caller === caller && !byHand(row) && (row.state === "expired" || row.state === "late"));
    const unreported = storm.journal.figure(`unreported ${caller}`) > 0;
    books.within(`calls used by ${caller}`, used, { least: reported, most: unreported ? Infinity : reported + unsettled.length });
  }
}

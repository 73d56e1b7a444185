/** Compares the events, their recipients, and the received messages. */
import type { World } from "../world.ts";
import { Comparison } from "./compare.ts";

interface EventRow {
  readonly id: string;
  readonly type: string;
  readonly project_id: string;
  readonly created_at: number;
  readonly dispatched_at: number | null;
}

interface DeliveryRow {
  readonly webhook_id: string;
  readonly message_id: string;
  readonly event_id: string;
  readonly status: string;
  readonly next_attempt_at: number | null;
  readonly ended_at: number | null;
}

export async function deliveryBooks({ storm, receiver }: World): Promise<{ discrepancies: string[]; figures: Record<string, number> }> {
  const books = new Comparison();
  const events = await storm.d1<EventRow>("SELECT id, type, project_id, created_at, dispatched_at FROM events");
  const webhooks = await storm.d1<{ id: string; created_at: number }>("SELECT id, created_at FROM webhooks");
  const rows = await storm.d1<DeliveryRow>(
    "SELECT webhook_id, message_id, event_id, status, next_attempt_at, ended_at FROM webhook_deliveries ORDER BY seq",
  );
  books.none(
    "events that were not dispatched",
    events.filter(({ dispatched_at }) => dispatched_at === null),
  );

  const since = new Map(webhooks.map(({ id, created_at }) => [id, created_at]));
  const wanted = events.flatMap((event) =>
    receiver.endpoints
      .filter(
        ({ id, project, events: types }) =>
          project === event.project_id && (since.get(id) ?? Infinity) <= event.created_at && (types?.includes(event.type) ?? true),
      )
      .map(({ id }) => `${id} ${event.id}`),
  );
  const made = rows.map(({ webhook_id, event_id }) => `${webhook_id} ${event_id}`);
  books.same("deliveries, one for each event and endpoint", made.toSorted(), wanted.toSorted());
  books.none(
    "deliveries without an end or a next attempt",
    rows.filter(({ status, ended_at, next_attempt_at }) => (status === "pending" ? next_attempt_at : ended_at) === null),
  );

  const byMessage = new Map(rows.map((row) => [`${row.webhook_id} ${row.message_id}`, row]));
  books.none(
    "messages without a record",
    [...receiver.seen.keys()].filter((name) => !byMessage.has(name)),
  );
  books.none(
    "messages that were taken and are not recorded as delivered",
    [...receiver.taken].filter((name) => byMessage.get(name)?.status !== "delivered"),
  );
  books.none(
    "messages that are recorded as delivered and were not taken",
    [...byMessage].filter(([name, { status }]) => status === "delivered" && !receiver.taken.has(name)),
  );

  const figures: Record<string, number> = { pending: 0, delivered: 0, failed: 0, skipped: 0 };
  for (const { status } of rows) figures[status] = (figures[status] ?? 0) + 1;
  const tallies = await storm.d1<{ status: string; count: number }>("SELECT status, count FROM webhook_tallies ORDER BY status");
  books.same(
    "tallies of deliveries",
    Object.fromEntries(tallies.map(({ status, count }) => [status, count])),
    Object.fromEntries(Object.entries(figures).toSorted(([a], [b]) => (a < b ? -1 : 1))),
  );
  return { discrepancies: books.discrepancies, figures: { events: events.length, ...figures } };
}

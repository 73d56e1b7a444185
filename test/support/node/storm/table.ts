/** The figures of a storm as a table. No I/O. */
import type { Books } from "./books/index.ts";
import type { Journal } from "./journal.ts";

type Row = readonly [name: string, value: string | number];

export function tableOf(journal: Journal, books: Books): string {
  const { quota, tenants, jobs, deliveries, harvests } = books;
  const { outcomes, ...calls } = quota.figures;
  const losses = [
    journal.faults,
    books.unfinished,
    ...[quota, tenants, jobs, deliveries, harvests].map(({ discrepancies }) => discrepancies),
  ].flat();
  const figures = [...journal.figures].filter(([name]) => !/^(reported|unreported) /u.test(name));
  const sections: (readonly [title: string, rows: readonly Row[]])[] = [
    ["Requests", [...journal.answers].filter(([kind]) => !kind.endsWith(" logs")).map(([kind, statuses]) => [kind, listed(statuses)])],
    ["What happened", figures],
    ["Calls", Object.entries(calls)],
    ["Provider requests by outcome", Object.entries(outcomes)],
    ["Jobs", Object.entries(jobs.figures)],
    ["Deliveries", Object.entries(deliveries.figures)],
    ["Counters of tenants", Object.entries(tenants.figures)],
    ["Harvests", Object.entries(harvests.figures)],
    ["Errors logged", [...journal.answers].filter(([kind]) => kind.endsWith(" logs")).map(([kind, words]) => [kind, listed(words)])],
    ["Losses", [["differences", losses.length]]],
  ];
  return sections
    .map(([title, rows]) => [title, ...sorted(rows).map(([name, value]) => `  ${name.padEnd(34)} ${value}`)].join("\n"))
    .join("\n");
}

const listed = (counts: ReadonlyMap<string, number>): string =>
  sorted([...counts])
    .map(([name, count]) => `${count} × ${name}`)
    .join(", ");

const sorted = <Entry extends Row>(rows: readonly Entry[]): Entry[] => rows.toSorted(([a], [b]) => (a < b ? -1 : 1));

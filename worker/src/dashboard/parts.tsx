/** Small things that many pages show. */
import type { Child, PropsWithChildren } from "hono/jsx";
import { isoSeconds } from "../lib/time.ts";
import { moment, preciseTime, relative } from "./format.ts";
import type { Level, Said } from "./words.ts";

/** A moment, in UTC and from now: "14:03 UTC, 5 min ago". */
export function Time({ at, now }: { readonly at: number; readonly now: number }) {
  const iso = isoSeconds(at);
  return (
    <time datetime={iso} title={iso}>
      {moment(at, now)}
      <span class="muted">, {relative(at, now)}</span>
    </time>
  );
}

/** A moment to the second, where many lie close together. */
export function PreciseTime({ at }: { readonly at: number }) {
  const iso = isoSeconds(at);
  return (
    <time datetime={iso} title={iso}>
      {preciseTime(at)}
    </time>
  );
}

export function TimeOrNone({ at, now, none = "–" }: { readonly at: number | null; readonly now: number; readonly none?: string }) {
  return at === null ? <span class="muted">{none}</span> : <Time at={at} now={now} />;
}

const MARKS: Readonly<Record<Level, string>> = {
  good: "M5 12.5l4.5 4.5L19 7.5",
  info: "M12 11v6M12 7.2v.1",
  warn: "M12 6.5v7M12 17v.1",
  bad: "M7.5 7.5l9 9M16.5 7.5l-9 9",
};

/** A sign that does not need colour to be told apart. */
export function Mark({ level }: { readonly level: Level }) {
  return (
    <svg class={`mark ${level}`} viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
      <circle cx="12" cy="12" r="11" />
      <path d={MARKS[level]} />
    </svg>
  );
}

/** What is to be known, as a list. */
export function Notices({ all }: { readonly all: readonly Said[] }) {
  if (all.length === 0) return null;
  return (
    <ul class="notices" aria-label="Warnings">
      {all.map(({ level, title, detail }) => (
        <li class={`notice ${level}`} data-key={title.replaceAll(/\d/gu, "")}>
          <Mark level={level} />
          <p>
            <strong>{title}.</strong> {detail}
          </p>
        </li>
      ))}
    </ul>
  );
}

const TONES: Readonly<Record<string, Level | "quiet">> = {
  ACTIVE: "good",
  SUSPENDED: "bad",
  ARCHIVED: "quiet",
  DELETED: "quiet",
  completed: "good",
  succeeded: "good",
  running: "info",
  waiting: "info",
  queued: "info",
  scheduled: "info",
  failed: "bad",
  timed_out: "bad",
  interrupted: "warn",
  cancelled: "quiet",
  due: "info",
  done: "good",
  warned: "warn",
  exceeded: "bad",
  suspended: "bad",
  lifted: "good",
  ok: "good",
  pending: "info",
  delivered: "good",
  enabled: "good",
  probation: "info",
  disabled: "bad",
  verified: "good",
  reported: "warn",
  normal: "good",
  firing: "bad",
  resolved: "good",
};

/** A state in a word. */
export function State({ name }: { readonly name: string }) {
  return <span class={`state ${TONES[name] ?? "quiet"}`}>{name.toLowerCase().replaceAll("_", " ")}</span>;
}

export function Card({ title, id, children, aside }: PropsWithChildren<{ title: string; id: string; aside?: Child }>) {
  return (
    <section class="card" aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {aside ?? null}
      </header>
      {children}
    </section>
  );
}

/** Where there is nothing to show: why, and what would change that. */
export function Nothing({ children }: PropsWithChildren) {
  return <p class="nothing">{children}</p>;
}

export interface Column<Row> {
  readonly name: string;
  readonly cell: (row: Row) => Child;
  readonly number?: boolean;
}

interface TableProps<Row> {
  readonly label: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf?: (row: Row) => string;
}

/** Wider than a small screen: scrolls by itself, by keyboard too. */
export function Table<Row>({ label, columns, rows, keyOf }: TableProps<Row>) {
  return (
    <div class="scroll" role="group" aria-label={label} tabindex={0}>
      <table>
        <thead>
          <tr>
            {columns.map(({ name, number }) => (
              <th scope="col" class={number ? "number" : ""}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr {...(keyOf ? { "data-key": keyOf(row) } : {})}>
              {columns.map(({ cell, number }) => (
                <td class={number ? "number" : ""}>{cell(row)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A heading with what can be done. */
export function Heading({ title, children, above }: PropsWithChildren<{ title: string; above?: Child }>) {
  return (
    <div class="heading">
      <div>
        {above === undefined ? null : <p class="above">{above}</p>}
        <h1>{title}</h1>
      </div>
      {children ? <div class="actions">{children}</div> : null}
    </div>
  );
}

/** Names and values. */
export function Facts({ all }: { readonly all: readonly (readonly [string, Child])[] }) {
  return (
    <dl class="facts">
      {all.map(([name, value]) => (
        <div>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** On to the next page of a list, and back to its beginning. */
export function Paging({ first, next }: { readonly first: string | null; readonly next: string | null }) {
  if (first === null && next === null) return null;
  return (
    <nav class="paging" aria-label="More of this list">
      {first === null ? null : (
        <a class="button quiet" href={first}>
          Newest
        </a>
      )}
      {next === null ? null : (
        <a class="button" href={next} rel="next">
          Older
        </a>
      )}
    </nav>
  );
}

/** JSON as people read it. */
export function Json({ value }: { readonly value: unknown }) {
  return (
    <pre tabindex={0} class="json">
      {JSON.stringify(value, null, 2)}
    </pre>
  );
}

/** Components that many pages share. */
import type { Child, PropsWithChildren } from "hono/jsx";
import { isoSeconds } from "../lib/time.ts";
import { dateTime, preciseTime, relative } from "./format.ts";
import type { Level, Notice } from "./words.ts";

/** A time in UTC and relative to now: "14:03 UTC, 5 min ago". */
export function Time({ at, now }: { readonly at: number; readonly now: number }) {
  const iso = isoSeconds(at);
  return (
    <time datetime={iso} title={iso}>
      {dateTime(at, now)}
      <span class="muted">, {relative(at, now)}</span>
    </time>
  );
}

/** A time to the second, for lists of close events. */
export function PreciseTime({ at }: { readonly at: number }) {
  const iso = isoSeconds(at);
  return (
    <time datetime={iso} title={iso}>
      {preciseTime(at)}
    </time>
  );
}

export function TimeOrNone({ at, now, none }: { readonly at: number | null; readonly now: number; readonly none?: string }) {
  return at === null ? <None>{none}</None> : <Time at={at} now={now} />;
}

/** Placeholder for a missing value: a dash or the reason. */
export function None({ children }: PropsWithChildren) {
  return <span class="muted">{children ?? "–"}</span>;
}

const MARKS: Readonly<Record<Level, string>> = {
  good: "M5 12.5l4.5 4.5L19 7.5",
  info: "M12 11v6M12 7.2v.1",
  warn: "M12 6.5v7M12 17v.1",
  bad: "M7.5 7.5l9 9M16.5 7.5l-9 9",
};

/** An icon per level. Its shape alone identifies the level. */
export function Mark({ level }: { readonly level: Level }) {
  return (
    <svg class={`mark ${level}`} viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
      <circle cx="12" cy="12" r="11" />
      <path d={MARKS[level]} />
    </svg>
  );
}

/** Why a form failed. */
export function Failure({ children }: PropsWithChildren) {
  return (
    <p class="notice bad" role="alert" id="failure">
      <Mark level="bad" />
      <span>{children}</span>
    </p>
  );
}

/** List of warnings. */
export function Notices({ all }: { readonly all: readonly Notice[] }) {
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

const TONES: Readonly<Record<string, Level>> = Object.fromEntries(
  Object.entries({
    good: "ACTIVE completed succeeded done lifted ok delivered enabled verified normal resolved",
    info: "running waiting queued scheduled due pending probation",
    warn: "interrupted warned reported",
    bad: "SUSPENDED failed timed_out exceeded suspended disabled firing",
  }).flatMap(([level, states]) => states.split(" ").map((state) => [state, level as Level])),
);

/** A state as a colored word. */
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

/** Text for an empty list: the reason and an action. */
export function EmptyState({ children }: PropsWithChildren) {
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
  /** Shown in place of an empty table. */
  readonly none?: Child;
}

/** A table that scrolls horizontally on a small screen, by keyboard too. */
export function Table<Row>({ label, columns, rows, keyOf, none }: TableProps<Row>) {
  if (rows.length === 0 && none !== undefined) return <EmptyState>{none}</EmptyState>;
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

/** A heading with actions. */
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

/** Filters of a list. null and "" mean no filter. */
export type Query = Readonly<Record<string, string | null>>;

/** The address of a list. */
export function addressOf(path: string, query: Query): string {
  const search = new URLSearchParams(Object.entries(query).flatMap(([name, value]) => (value ? [[name, value]] : [])));
  return search.size === 0 ? path : `${path}?${search.toString()}`;
}

export const isFiltered = (query: Query): boolean => Object.values(query).some((value) => value !== null && value !== "");

/** One page of a filtered list. */
export interface ListPage<Row, Filter extends Query> {
  readonly rows: readonly Row[];
  readonly query: Filter;
  readonly isFirst: boolean;
  /** Cursor of the next page, or null on the last page. */
  readonly next: string | null;
  readonly now: number;
}

interface FiltersProps {
  readonly action: string;
  readonly button?: string;
  /** Shown next to the form. */
  readonly aside?: Child;
}

/** Filter form of a list. */
export function Filters({ action, button = "Show", aside, children }: PropsWithChildren<FiltersProps>) {
  return (
    <div class="filters" data-still>
      <form method="get" action={action} role="search">
        {children}
        <button class="button" type="submit">
          {button}
        </button>
      </form>
      {aside ?? null}
    </div>
  );
}

interface ChoiceProps {
  readonly id: string;
  readonly label: string;
  readonly all: readonly string[];
  readonly chosen: string | null;
}

export function Choice({ id, label, all, chosen }: ChoiceProps) {
  return (
    <>
      <label for={id}>{label}</label>
      <select id={id} name={id}>
        <option value="">all</option>
        {all.map((each) => (
          <option value={each} selected={each === chosen}>
            {each}
          </option>
        ))}
      </select>
    </>
  );
}

/** Links to the first and the next page of a list. */
export function Paging({ path, page: { query, isFirst, next } }: { readonly path: string; readonly page: ListPage<unknown, Query> }) {
  if (isFirst && next === null) return null;
  return (
    <nav class="paging" aria-label="Paging">
      {isFirst ? null : (
        <a class="button quiet" href={addressOf(path, query)}>
          Newest
        </a>
      )}
      {next === null ? null : (
        <a class="button" href={addressOf(path, { ...query, cursor: next })} rel="next">
          Older
        </a>
      )}
    </nav>
  );
}

/** Indented JSON. */
export function Json({ value }: { readonly value: unknown }) {
  return (
    <pre tabindex={0} class="json">
      {JSON.stringify(value, null, 2)}
    </pre>
  );
}

/**
 * Which books a search finds. No I/O, no clock.
 * Lists are those of months and of authors: a book belongs to one of the two, so totals add up and pages never overlap.
 */
import { authorNamed, isKnownName, stemsOfAuthor } from "./authors.ts";
import { dateWithin, publisherOf, subjectsOf, titleOf } from "./book.ts";
import { dayOf, findBook } from "./catalogue.ts";
import { CURATED } from "./curated.ts";
import { FIRST_YEAR, LAST_YEAR, releasesIn, stemsOfMonth } from "./releases.ts";
import type { World } from "./settings.ts";
import { MAX_RESULTS } from "./shelf.ts";

/** Everything given must hold. Texts are compared without regard to case, as parts of what the book has. */
export interface Criteria {
  /** In any column. */
  text?: string | undefined;
  title?: string | undefined;
  author?: string | undefined;
  subject?: string | undefined;
  publisher?: string | undefined;
  stem?: number | undefined;
  /** YYYY-MM-DD, both included. */
  from?: string | undefined;
  to?: string | undefined;
}

export interface Found {
  /** All there are, also those beyond what paging can reach. */
  total: number;
  stems: number[];
}

/** A search without dates looks at these years: enough to find something, few enough to answer at once. */
const UNDATED = { from: "2015-01-01", to: "2024-12-31" } as const;

const found = (stems: number[]): Found => ({ total: stems.length, stems: stems.slice(0, MAX_RESULTS) });

const has = (part: string, ...columns: (string | null)[]): boolean =>
  columns.some((column) => column?.toLowerCase().includes(part.toLowerCase()));

/** Authors are left out: they are looked for on their own lists. */
const columnsOf = (stem: number): { title: string; publisher: string | null; subjects: string[] } =>
  CURATED.get(stem) ?? { title: titleOf(stem), publisher: publisherOf(stem), subjects: subjectsOf(stem) };

const matches = (stem: number, { text, title, subject, publisher }: Criteria): boolean => {
  const book = columnsOf(stem);
  if (text !== undefined && !has(text, book.title, book.publisher, ...book.subjects)) return false;
  if (title !== undefined && !has(title, book.title)) return false;
  if (subject !== undefined && !has(subject, ...book.subjects)) return false;
  return publisher === undefined || has(publisher, book.publisher);
};

const within = (day: string, { from, to }: Criteria): boolean => (from === undefined || day >= from) && (to === undefined || day <= to);

const monthsBetween = (from: string, to: string): string[] => {
  const months: string[] = [];
  const last = to.slice(0, 7);
  for (let year = Math.max(FIRST_YEAR, Number(from.slice(0, 4))); year <= Math.min(LAST_YEAR, Number(to.slice(0, 4))); year += 1) {
    for (let month = 1; month <= 12; month += 1) {
      const name = `${year}-${String(month).padStart(2, "0")}`;
      if (name >= from.slice(0, 7) && name <= last) months.push(name);
    }
  }
  return months;
};

const published = (criteria: Criteria, world: World): Found => {
  const { from = UNDATED.from, to = UNDATED.to } = criteria;
  const everything =
    criteria.text === undefined && criteria.title === undefined && criteria.subject === undefined && criteria.publisher === undefined;
  const result: Found = { total: 0, stems: [] };
  for (const month of monthsBetween(from, to)) {
    const whole = from <= `${month}-01` && to >= `${month}-28`;
    const stems = stemsOfMonth(month, world).filter(
      (stem) => (whole || within(dateWithin(month, stem), { from, to })) && (everything || matches(stem, criteria)),
    );
    result.total += whole && everything ? releasesIn(month, world) : stems.length;
    for (const stem of stems.slice(0, MAX_RESULTS - result.stems.length)) result.stems.push(stem);
  }
  return result;
};

const byAuthor = (author: string, criteria: Criteria, world: World): number[] => {
  const { text: _searched, ...rest } = criteria;
  return stemsOfAuthor(authorNamed(author, world)).filter((stem) => within(dayOf(stem), criteria) && matches(stem, rest));
};

/** An author's page: that author's books, and all of them in the total when no date narrows it. */
export const authorPage = (author: string, dates: Pick<Criteria, "from" | "to">, world: World): Found => {
  if (dates.from !== undefined || dates.to !== undefined) return found(byAuthor(author, dates, world));
  const { total, ...rest } = authorNamed(author, world);
  return { total, stems: stemsOfAuthor({ total, ...rest }) };
};

export const search = (criteria: Criteria, world: World): Found => {
  if (criteria.stem !== undefined) {
    const known = findBook(criteria.stem, world) !== undefined && matches(criteria.stem, criteria);
    return found(known ? [criteria.stem] : []);
  }
  if (criteria.author !== undefined) return found(byAuthor(criteria.author, criteria, world).filter((stem) => matches(stem, criteria)));
  const rest = published(criteria, world);
  // Real books only where words ask for them: a month's total stays what was set for it.
  if (criteria.text === undefined && criteria.title === undefined && criteria.publisher === undefined) return rest;
  const named = criteria.text !== undefined && isKnownName(criteria.text, world) ? byAuthor(criteria.text, criteria, world) : [];
  const real = [...CURATED.keys()].filter((stem) => within(dayOf(stem), criteria) && matches(stem, criteria));
  const first = [...new Set([...named, ...real])];
  return { total: first.length + rest.total, stems: [...first, ...rest.stems].slice(0, MAX_RESULTS) };
};

/** Books as in the documented responses (OpenAPI 2.7.0), generated from a stem. No I/O, no clock. */
import { mix, pick } from "./hash.ts";
import { isbn10Of, isbn13Of } from "./isbn.ts";
import { ADJECTIVES, NOUNS, PUBLISHERS, SUBJECTS } from "./vocabulary.ts";

interface Measure {
  unit: string;
  value: number;
}

export interface Book {
  title: string;
  title_long: string;
  isbn: string;
  isbn13: string;
  isbn10: string | null;
  dewey_decimal: string[] | null;
  binding: string | null;
  publisher: string | null;
  language: string | null;
  date_published: string;
  edition: string | null;
  pages: number | null;
  dimensions: string | null;
  dimensions_structured: Record<"length" | "width" | "height" | "weight", Measure> | null;
  image: string | null;
  image_original: string | null;
  msrp: number | null;
  synopsis: string | null;
  authors: string[];
  subjects: string[];
}

/** One salt per property, so that properties are independent of each other. */
const PROPERTIES = [
  "form",
  "adjective",
  "noun",
  "second",
  "publisher",
  "pages",
  "price",
  "subject",
  "year",
  "day",
  "binding",
  "size",
] as const;
const SALT = Object.fromEntries(PROPERTIES.map((name, index) => [name, index + 1])) as Record<(typeof PROPERTIES)[number], number>;

const BINDINGS = ["Hardcover", "Paperback", "Mass Market Paperback", "Kindle Edition", "Library Binding"] as const;
const LANGUAGES = ["en", "en", "en", "en", "en", "en", "en", "es", "fr", "de"] as const;

const titleOf = (stem: number): string => {
  const adjective = pick(ADJECTIVES, mix(stem, SALT.adjective));
  const noun = pick(NOUNS, mix(stem, SALT.noun));
  const second = pick(NOUNS, mix(stem, SALT.second));
  switch (mix(stem, SALT.form) % 5) {
    case 0:
      return `The ${adjective} ${noun}`;
    case 1:
      return `${noun} and ${second}`;
    case 2:
      return `A ${noun} for the ${adjective} ${second}`;
    case 3:
      return `${adjective} ${noun}: A ${second} Remembered`;
    default:
      return `The ${noun} of the ${adjective} ${second}`;
  }
};

const publisherOf = (stem: number): string => pick(PUBLISHERS, mix(stem, SALT.publisher));

export const subjectsOf = (stem: number): string[] => {
  const seed = mix(stem, SALT.subject);
  return [...new Set([pick(SUBJECTS, seed), pick(SUBJECTS, seed >>> 8)])];
};

const tenths = (number: number): number => Math.round(number) / 10;

const twoDigits = (number: number): string => String(number).padStart(2, "0");

/** YYYY-MM-DD within a month. Only days 1 to 28, which exist in every month. */
export const dateWithin = (month: string, stem: number): string => `${month}-${twoDigits(1 + (mix(stem, SALT.day) % 28))}`;

/** Publication date from 1950 to 2024, for books that are in no month's list of releases. */
export const dateOf = (stem: number): string => {
  const seed = mix(stem, SALT.year);
  return dateWithin(`${1950 + (seed % 75)}-${twoDigits(1 + ((seed >>> 8) % 12))}`, stem);
};

export const makeBook = (stem: number, authors: readonly string[], date: string): Book => {
  const title = titleOf(stem);
  const isbn13 = isbn13Of(stem);
  const subjects = subjectsOf(stem);
  const size = mix(stem, SALT.size);
  const height = tenths(70 + (size % 40));
  const width = tenths(40 + ((size >>> 6) % 30));
  const thickness = tenths(4 + ((size >>> 12) % 20));
  return {
    title,
    title_long: size % 3 === 0 ? `${title} (Anniversary Edition)` : title,
    isbn: isbn13,
    isbn13,
    isbn10: isbn10Of(stem),
    dewey_decimal: size % 4 === 0 ? null : [String(100 + (size % 900))],
    binding: pick(BINDINGS, mix(stem, SALT.binding)),
    publisher: publisherOf(stem),
    language: pick(LANGUAGES, size >>> 4),
    date_published: date,
    edition: size % 6 === 0 ? String(1 + ((size >>> 3) % 5)) : null,
    pages: 64 + (mix(stem, SALT.pages) % 900),
    dimensions: `Height: ${height} Inches, Length: ${width} Inches, Width: ${thickness} Inches`,
    dimensions_structured: {
      length: { unit: "inches", value: width },
      width: { unit: "inches", value: thickness },
      height: { unit: "inches", value: height },
      weight: { unit: "pounds", value: tenths(3 + ((size >>> 16) % 30)) },
    },
    image: `https://images.isbndb.com/covers/${isbn13}.jpg`,
    image_original: `https://images.isbndb.com/covers/original/${isbn13}.jpg`,
    msrp: (499 + 100 * (mix(stem, SALT.price) % 60)) / 100,
    synopsis: size % 2 === 0 ? null : `${title}, by ${authors.join(" and ")}: ${subjects.join(", ").toLowerCase()}, unabridged.`,
    authors: [...authors],
    subjects,
  };
};

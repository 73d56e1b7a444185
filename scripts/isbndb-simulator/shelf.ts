/**
 * Position of a generated book, encoded in its ISBN as 979, five digits of shelf and four digits of place. No I/O, no clock.
 * So a request for a single ISBN returns the same book as the page of its author or its month.
 */
const FIRST_STEM = 979_00000_0000;
const PLACES = 10_000;

/** Most results of the provider. Four digits of place are enough for them. */
export const MAX_RESULTS = PLACES;

/** Ranges of shelves. Books on other shelves and all 978 numbers are not in any list. */
export const SHELVES = {
  pool: { first: 10_000, count: 10_000 },
  curatedAuthors: { first: 20_000, count: 1_000 },
  otherAuthors: { first: 21_000, count: 59_000 },
  months: { first: 80_000, count: 10_000 },
} as const;

type Range = (typeof SHELVES)[keyof typeof SHELVES];

export const isOn = (range: Range, shelf: number): boolean => shelf >= range.first && shelf < range.first + range.count;

export const stemAt = (shelf: number, place: number): number => FIRST_STEM + shelf * PLACES + place;

export const placeOf = (stem: number): { shelf: number; place: number } | undefined => {
  const offset = stem - FIRST_STEM;
  return offset < 0 ? undefined : { shelf: Math.floor(offset / PLACES), place: offset % PLACES };
};

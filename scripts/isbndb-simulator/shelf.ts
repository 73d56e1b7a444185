/**
 * Where a generated book stands, written into its ISBN: 979, five digits of shelf, four of place. No I/O, no clock.
 * So an ISBN seen on an author's page or in a month's list, asked for later by itself, is still that author's or that month's book.
 */
const FIRST_STEM = 979_00000_0000;
const PLACES = 10_000;

/** The provider gives out no more results than this, so four digits of place are enough. */
export const MAX_RESULTS = PLACES;

/** Ranges never overlap; shelves outside them, and all 978 numbers, carry books that no list names. */
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

/** Days of the demo data, and a wave for its numbers. No clock. */

export const HOUR_MS = 60 * 60 * 1_000;
export const DAY_MS = 24 * HOUR_MS;

/** Midnights in UTC, today first. */
export const daysBefore = (now: number, days: number): number[] =>
  Array.from({ length: days }, (_, age) => now - (now % DAY_MS) - age * DAY_MS);

export const isoDay = (time: number): string => new Date(time).toISOString().slice(0, 10);

/** 0 at each whole number, and 1 halfway between two whole numbers. */
export const wave = (position: number): number => (1 - Math.cos(2 * Math.PI * position)) / 2;

/** Formats counts in messages. No I/O. No clock. */

const GROUPED = new Intl.NumberFormat("en-US");

/** Grouped digits for readers: "12,345". */
export const grouped = (count: number): string => GROUPED.format(count);

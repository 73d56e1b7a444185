/** The catalog's tables, those that refer to others first. The main database has tables of the same names from earlier releases. */
export const CATALOG_TABLES = [
  "book_authors",
  "books",
  "authors",
  "missing_isbns",
  "bibliographies",
  "harvest_targets",
  "harvest_runs",
] as const;

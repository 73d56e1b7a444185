-- The catalogue: what the provider told us, so that nothing is paid for twice. Times are epoch milliseconds.

CREATE TABLE books (
  isbn13 TEXT PRIMARY KEY,
  isbn10 TEXT,
  title TEXT NOT NULL,
  authors TEXT NOT NULL,          -- JSON array of names, in the provider's order
  publisher TEXT,
  language TEXT,                  -- ISO 639-1
  date_published TEXT,            -- YYYY, YYYY-MM or YYYY-MM-DD
  pages INTEGER,
  binding TEXT,
  edition TEXT,
  subjects TEXT NOT NULL,         -- JSON array
  synopsis TEXT,
  image TEXT,
  msrp REAL,
  dewey_decimal TEXT NOT NULL,    -- JSON array
  fetched_at INTEGER NOT NULL
);

-- ISBNs that the provider did not know when we asked.
CREATE TABLE missing_isbns (
  isbn13 TEXT PRIMARY KEY,
  missed_at INTEGER NOT NULL
) WITHOUT ROWID;

-- One row for each name on a book. work_key is the folded title: editions of one work share it.
CREATE TABLE book_authors (
  author_key TEXT NOT NULL,
  isbn13 TEXT NOT NULL REFERENCES books (isbn13),
  work_key TEXT NOT NULL,
  PRIMARY KEY (author_key, isbn13)
) WITHOUT ROWID;
CREATE INDEX book_authors_by_book ON book_authors (isbn13);

-- Counts of what the catalogue holds, kept up to date when books are stored.
CREATE TABLE authors (
  author_key TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  work_count INTEGER NOT NULL,
  edition_count INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX authors_by_size ON authors (edition_count DESC, author_key);

-- How far an author's bibliography was fetched, so that an interrupted one goes on where it stopped.
CREATE TABLE bibliographies (
  author_key TEXT PRIMARY KEY,
  name TEXT NOT NULL,             -- as the provider writes it
  total INTEGER,                  -- results by the provider's count; null where it gives none
  results_covered INTEGER NOT NULL,
  books_found INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'complete', 'truncated', 'unknown')),
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;

-- The catalog: everything that the provider told us, and the harvest that fetches more. A full catalog cannot stop admissions, which use another
-- database. The tables are those of migrations 0001 and 0002 of the main database. Times are epoch milliseconds.

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
-- Finds the oldest books, which are removed first.
CREATE INDEX books_by_age ON books (fetched_at);

-- ISBNs that the provider did not know.
CREATE TABLE missing_isbns (
  isbn13 TEXT PRIMARY KEY,
  missed_at INTEGER NOT NULL
) WITHOUT ROWID;

-- One row for each name on a book. The editions of a work share the work_key, its normalized title.
CREATE TABLE book_authors (
  author_key TEXT NOT NULL,
  isbn13 TEXT NOT NULL REFERENCES books (isbn13),
  work_key TEXT NOT NULL,
  PRIMARY KEY (author_key, isbn13)
) WITHOUT ROWID;
CREATE INDEX book_authors_by_book ON book_authors (isbn13);

-- Counts of stored books. Saving and removing books updates them.
CREATE TABLE authors (
  author_key TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  work_count INTEGER NOT NULL,
  edition_count INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX authors_by_size ON authors (edition_count DESC, author_key);

-- Progress of each author's bibliography. An interrupted one resumes where it stopped.
CREATE TABLE bibliographies (
  author_key TEXT PRIMARY KEY,
  name TEXT NOT NULL,             -- in the provider's spelling
  total INTEGER,                  -- results by the provider's count, or null
  results_covered INTEGER NOT NULL,
  books_found INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'complete', 'truncated', 'unknown')),
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE harvest_targets (
  kind TEXT NOT NULL CHECK (kind IN ('isbn', 'author')),
  target_key TEXT NOT NULL,       -- ISBN-13, or the author's normalized name
  name TEXT NOT NULL,             -- as given
  priority INTEGER NOT NULL,      -- 0 to 100, the highest first
  state TEXT NOT NULL CHECK (state IN ('due', 'done', 'failed')),
  tries INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER NOT NULL,        -- earliest next attempt
  taken_by TEXT,                  -- the run that works on it
  taken_until INTEGER,            -- then the target of a crashed run is free again
  found INTEGER,                  -- books found
  reason TEXT,                    -- why it was not found, or failed
  added_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (kind, target_key)
) WITHOUT ROWID;
CREATE INDEX harvest_targets_due ON harvest_targets (kind, priority DESC, due_at) WHERE state = 'due';
CREATE INDEX harvest_targets_by_state ON harvest_targets (state, kind);

CREATE TABLE harvest_runs (
  id TEXT PRIMARY KEY,            -- the job's id, or api-<id>
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  targets INTEGER NOT NULL DEFAULT 0,
  calls INTEGER NOT NULL DEFAULT 0,
  found INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  stopped TEXT,                   -- why it ended, null while it runs
  detail TEXT
) WITHOUT ROWID;
CREATE INDEX harvest_runs_latest ON harvest_runs (started_at DESC);

-- Progress of the move of each table from the main database.
CREATE TABLE moves (
  table_name TEXT PRIMARY KEY,
  cursor TEXT,                    -- JSON array: the key of the last row that was moved
  done_at INTEGER                 -- null while rows are left
) WITHOUT ROWID;

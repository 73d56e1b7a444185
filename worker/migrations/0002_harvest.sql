-- The scheduled harvest: what waits to be fetched, and what each run did. Times are epoch milliseconds.

CREATE TABLE harvest_targets (
  kind TEXT NOT NULL CHECK (kind IN ('isbn', 'author')),
  target_key TEXT NOT NULL,       -- ISBN-13, or the author's folded name
  name TEXT NOT NULL,             -- as it was given
  priority INTEGER NOT NULL,      -- 0 to 100, the highest first
  state TEXT NOT NULL CHECK (state IN ('due', 'done', 'failed')),
  tries INTEGER NOT NULL DEFAULT 0,
  due_at INTEGER NOT NULL,        -- not before
  taken_by TEXT,                  -- the run that works on it
  taken_until INTEGER,            -- after it, a crashed run's target is free again
  found INTEGER,                  -- books found
  reason TEXT,                    -- why it is not found, or failed
  added_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (kind, target_key)
) WITHOUT ROWID;
CREATE INDEX harvest_targets_due ON harvest_targets (kind, priority DESC, due_at) WHERE state = 'due';
CREATE INDEX harvest_targets_by_state ON harvest_targets (state, kind);

CREATE TABLE harvest_runs (
  id TEXT PRIMARY KEY,            -- cron-<scheduled time> or api-<id>: a tick delivered twice is one run
  started_at INTEGER NOT NULL,
  ended_at INTEGER,
  targets INTEGER NOT NULL DEFAULT 0,
  calls INTEGER NOT NULL DEFAULT 0,
  found INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  stopped TEXT,                   -- why it ended; null while it runs
  detail TEXT
) WITHOUT ROWID;
CREATE INDEX harvest_runs_latest ON harvest_runs (started_at DESC);

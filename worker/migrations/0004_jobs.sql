-- The index of jobs: what was asked for, what became of it, and every try. Workflows executes; it has no listing, so this is the list.
-- Times are epoch milliseconds.

CREATE TABLE jobs (
  id TEXT PRIMARY KEY,            -- the Workflow instance's too; <type>-<hash of who, type and idempotency key>, retries with -r2, -r3
  type TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('queued', 'scheduled', 'running', 'waiting', 'completed', 'failed', 'cancelled')),
  payload TEXT NOT NULL,          -- JSON
  requested_by TEXT NOT NULL,     -- admin, cron, job:<id>
  project_id TEXT,
  root_id TEXT NOT NULL,          -- the first run's id
  run INTEGER NOT NULL,           -- 1, and one more for each retry
  tries INTEGER NOT NULL DEFAULT 0, -- the most that any step took
  max_tries INTEGER NOT NULL,     -- of each step
  result TEXT,                    -- JSON
  error TEXT,
  cron TEXT,                      -- the expression whose tick asked for it
  scheduled_for INTEGER,          -- a cron's tick, or when a delay ends
  request_id TEXT,
  trace_id TEXT,
  traceparent TEXT,
  created_at INTEGER NOT NULL,
  started_at INTEGER,
  ended_at INTEGER,
  updated_at INTEGER NOT NULL,    -- the last sign of life
  checked_at INTEGER              -- when housekeeping last compared it with its instance
) WITHOUT ROWID;
CREATE INDEX jobs_latest ON jobs (created_at DESC, id DESC);
CREATE INDEX jobs_by_type ON jobs (type, created_at DESC, id DESC);
CREATE INDEX jobs_by_status ON jobs (status, created_at DESC, id DESC);
CREATE INDEX jobs_by_project ON jobs (project_id, created_at DESC, id DESC) WHERE project_id IS NOT NULL;
CREATE INDEX jobs_by_cron ON jobs (cron, scheduled_for DESC) WHERE cron IS NOT NULL;
CREATE INDEX jobs_by_root ON jobs (root_id, run);
CREATE INDEX jobs_unfinished ON jobs (updated_at) WHERE ended_at IS NULL;
CREATE INDEX jobs_ended ON jobs (type, status, ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE job_attempts (
  job_id TEXT NOT NULL REFERENCES jobs (id),
  step TEXT NOT NULL,
  nth INTEGER NOT NULL,           -- which step of this name, from 1 on
  attempt INTEGER NOT NULL,
  started_at INTEGER,             -- null: nothing was recorded before it was over
  ended_at INTEGER,
  outcome TEXT CHECK (outcome IN ('succeeded', 'failed', 'timed_out', 'interrupted')),
  error TEXT,
  PRIMARY KEY (job_id, step, nth, attempt)
) WITHOUT ROWID;

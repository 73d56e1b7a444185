-- Webhooks: who is told of events, what was sent to whom, and what came back. Times are epoch milliseconds.

-- An endpoint. Its secret is nowhere: it is derived from KEY_PEPPER, the id and the version whenever something is signed.
CREATE TABLE webhooks (
  id TEXT PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id),
  url TEXT NOT NULL,                -- may hold a secret of its owner's: never logged or traced
  description TEXT NOT NULL,
  event_types TEXT,                 -- JSON array; null: all, also those to come
  status TEXT NOT NULL DEFAULT 'enabled' CHECK (status IN ('enabled', 'disabled', 'probation')),
  status_reason TEXT,               -- why it is not enabled: by_hand, failures, gone, test, test_failed
  status_at INTEGER NOT NULL,       -- since when it is so
  failures INTEGER NOT NULL DEFAULT 0, -- deliveries given up one after the other
  secret_version INTEGER NOT NULL DEFAULT 1,
  previous_until INTEGER,           -- until when the version before signs too; null: only the newest
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX webhooks_by_project ON webhooks (project_id, created_at DESC, id DESC);

-- One message on its way to one endpoint.
CREATE TABLE webhook_deliveries (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  webhook_id TEXT NOT NULL,         -- stays when the endpoint is deleted
  project_id TEXT NOT NULL,
  message_id TEXT NOT NULL,         -- the header webhook-id: the same on every try, and for every endpoint that is told of an event
  event_id TEXT,                    -- null: a test, or a job that was asked for by hand
  event_type TEXT NOT NULL,
  is_test INTEGER NOT NULL DEFAULT 0,
  payload TEXT NOT NULL,            -- the body, byte for byte
  status TEXT NOT NULL CHECK (status IN ('pending', 'delivered', 'failed', 'skipped')),
  reason TEXT,                      -- why it was skipped or given up
  run INTEGER NOT NULL DEFAULT 1,   -- one more for each replay
  attempts INTEGER NOT NULL DEFAULT 0, -- tries of this run that are over
  next_attempt_at INTEGER,
  due_at INTEGER NOT NULL,          -- no job is asked for before: whoever wrote the row may be at it
  job_id TEXT,                      -- whose it is in this run
  enqueued_at INTEGER,              -- when that job was asked for; null: not yet
  changed_by TEXT NOT NULL,         -- the operation that wrote this row last: what belongs to it is done only if it did
  created_at INTEGER NOT NULL,
  ended_at INTEGER,
  UNIQUE (webhook_id, message_id)
);
CREATE INDEX webhook_deliveries_by_project ON webhook_deliveries (project_id, seq DESC);
CREATE INDEX webhook_deliveries_by_project_status ON webhook_deliveries (project_id, status, seq DESC);
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (webhook_id, seq DESC);
CREATE INDEX webhook_deliveries_by_webhook_status ON webhook_deliveries (webhook_id, status, seq DESC);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (enqueued_at, seq) WHERE status = 'pending';

CREATE TABLE webhook_attempts (
  delivery_id TEXT NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
  run INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  at INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  status_code INTEGER,              -- null: no answer
  error TEXT,
  response TEXT,                    -- the first 20 KB of the answer
  PRIMARY KEY (delivery_id, run, attempt)
) WITHOUT ROWID;

-- What operators are told by another way than a webhook.
ALTER TABLE events ADD COLUMN operators_told_at INTEGER;
CREATE INDEX events_for_operators ON events (type, seq) WHERE operators_told_at IS NULL;

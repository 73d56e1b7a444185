-- Tenants: who may call, what they may use, and what they have used. Times are epoch milliseconds, days are UTC, YYYY-MM-DD.

CREATE TABLE organizations (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'ACTIVE' CHECK (status IN ('ACTIVE', 'ARCHIVED')),
  billing_anchor INTEGER NOT NULL,  -- period n begins n months after it
  monthly_api_calls INTEGER,        -- null: unlimited
  changed_by TEXT NOT NULL,         -- the operation that wrote this row last: guards changes that were decided on an older one
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX organizations_latest ON organizations (created_at DESC, id DESC);
CREATE INDEX organizations_archived ON organizations (created_at DESC, id DESC) WHERE status = 'ARCHIVED';

-- One row for each billing period of an organisation: its counter while it is open, its ledger entry once it is closed.
CREATE TABLE billing_periods (
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  period_index INTEGER NOT NULL,    -- counted from the anchor
  starts_at INTEGER NOT NULL,
  ends_at INTEGER NOT NULL,         -- not part of the period any more
  api_calls INTEGER NOT NULL DEFAULT 0,
  adjustments INTEGER NOT NULL DEFAULT 0, -- reported after the period was over: the total above never changes any more
  closed_at INTEGER,                -- by the monthly reset
  PRIMARY KEY (organization_id, period_index)
) WITHOUT ROWID;
CREATE INDEX billing_periods_by_end ON billing_periods (organization_id, ends_at);
CREATE INDEX billing_periods_open ON billing_periods (ends_at) WHERE closed_at IS NULL;

CREATE TABLE projects (
  id TEXT PRIMARY KEY,
  organization_id TEXT NOT NULL REFERENCES organizations (id),
  name TEXT NOT NULL,
  owner_id TEXT,
  region TEXT,
  -- Whether it exists. SUSPENDED is no state of its own: it is an ACTIVE project with a reason that holds (see suspensions).
  lifecycle TEXT NOT NULL DEFAULT 'ACTIVE' CHECK (lifecycle IN ('ACTIVE', 'ARCHIVED', 'DELETED')),
  calls_per_day INTEGER,            -- its part of the provider's day; null: unlimited
  changed_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX projects_latest ON projects (created_at DESC, id DESC);
CREATE INDEX projects_gone ON projects (lifecycle, created_at DESC, id DESC) WHERE lifecycle <> 'ACTIVE';
CREATE INDEX projects_by_organization ON projects (organization_id, created_at DESC, id DESC);

-- Every project has a row for each cap, from its first moment.
CREATE TABLE caps (
  project_id TEXT NOT NULL REFERENCES projects (id),
  cap_type TEXT NOT NULL,
  value INTEGER,                    -- null: unlimited; 0: nothing
  revision INTEGER NOT NULL DEFAULT 1,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (project_id, cap_type)
) WITHOUT ROWID;

CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,              -- stands in the key itself
  project_id TEXT NOT NULL REFERENCES projects (id),
  name TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('live', 'test')),
  scopes TEXT NOT NULL,             -- JSON array
  expires_at INTEGER,
  revoked_at INTEGER,
  last_used_at INTEGER,             -- at most once a minute
  created_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX api_keys_by_project ON api_keys (project_id, created_at DESC, id DESC);
CREATE INDEX api_keys_unrevoked ON api_keys (project_id, expires_at) WHERE revoked_at IS NULL;

-- A key keeps its id when it is rotated; each secret is a version. Of those that work no more, the latest are kept.
CREATE TABLE api_key_versions (
  key_id TEXT NOT NULL REFERENCES api_keys (id),
  version INTEGER NOT NULL,
  hash TEXT NOT NULL,               -- HMAC of the key's SHA-256; the key itself is nowhere
  expires_at INTEGER,               -- the end of the grace after a rotation; null: as the key
  created_at INTEGER NOT NULL,
  last_used_at INTEGER,
  PRIMARY KEY (key_id, version)
) WITHOUT ROWID;
CREATE UNIQUE INDEX api_key_versions_by_hash ON api_key_versions (key_id, hash);

-- What was used in a day. A day nobody touched has no row, and reads as 0: nothing needs resetting.
CREATE TABLE counters (
  project_id TEXT NOT NULL,
  meter TEXT NOT NULL,
  day TEXT NOT NULL,
  used INTEGER NOT NULL,
  PRIMARY KEY (project_id, meter, day)
) WITHOUT ROWID;

-- What was reported for a day after it was over.
CREATE TABLE adjustments (
  project_id TEXT NOT NULL,
  meter TEXT NOT NULL,
  day TEXT NOT NULL,
  quantity INTEGER NOT NULL,
  PRIMARY KEY (project_id, meter, day)
) WITHOUT ROWID;

-- A level. No row means that nobody ever reported one: unknown, not 0.
CREATE TABLE gauges (
  project_id TEXT NOT NULL,
  meter TEXT NOT NULL,
  level INTEGER NOT NULL,           -- the last one set, plus what was added after it
  set_at INTEGER NOT NULL,          -- when it was last set; 0: never
  set_by TEXT NOT NULL,             -- that event: of two at one moment the greater name counts, in whatever order they arrive
  set_in TEXT NOT NULL,             -- the batch that brought it
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (project_id, meter)
) WITHOUT ROWID;

-- One row for each use that was admitted; the counters follow it, so that the same id counts once, and is given back once.
CREATE TABLE admissions (
  id TEXT PRIMARY KEY,              -- begins with the time, so that old ones are one range
  project_id TEXT NOT NULL,
  organization_id TEXT NOT NULL,
  period_index INTEGER NOT NULL,
  meter TEXT NOT NULL,
  day TEXT NOT NULL,
  returned_at INTEGER
) WITHOUT ROWID;

CREATE TRIGGER admission_counts AFTER INSERT ON admissions BEGIN
  INSERT INTO counters (project_id, meter, day, used) VALUES (new.project_id, new.meter, new.day, 1)
    ON CONFLICT DO UPDATE SET used = used + 1;
  UPDATE billing_periods SET api_calls = api_calls + 1
    WHERE organization_id = new.organization_id AND period_index = new.period_index;
END;

CREATE TRIGGER admission_returned AFTER UPDATE OF returned_at ON admissions WHEN old.returned_at IS NULL AND new.returned_at IS NOT NULL BEGIN
  UPDATE counters SET used = used - 1 WHERE project_id = new.project_id AND meter = new.meter AND day = new.day;
  UPDATE billing_periods SET api_calls = api_calls - 1
    WHERE organization_id = new.organization_id AND period_index = new.period_index AND closed_at IS NULL;
END;

-- What other services reported. Kept as long as the same event could come again.
CREATE TABLE usage_events (
  seq INTEGER PRIMARY KEY,          -- grows with the time of arrival
  source TEXT NOT NULL,
  id TEXT NOT NULL,
  project_id TEXT NOT NULL,
  meter TEXT NOT NULL,
  mode TEXT NOT NULL CHECK (mode IN ('count', 'add', 'set')), -- of a counter; of a gauge
  quantity INTEGER NOT NULL,
  occurred_at INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  fingerprint TEXT NOT NULL,        -- what was said, so that another body under the same id is noticed
  batch TEXT NOT NULL,              -- the attempt that stored it: only that one counts it
  UNIQUE (source, id)
);
CREATE INDEX usage_events_by_batch ON usage_events (batch, meter);
CREATE INDEX usage_events_of_gauges ON usage_events (project_id, meter, occurred_at) WHERE mode <> 'count';

-- Why a project is stopped. It is suspended while one of them holds: not lifted, and not past its end.
CREATE TABLE suspensions (
  seq INTEGER PRIMARY KEY,
  project_id TEXT NOT NULL REFERENCES projects (id),
  reason TEXT NOT NULL,             -- quota:<cap>, abuse:<pattern>, admin
  cap_type TEXT,
  detail TEXT,
  since INTEGER NOT NULL,
  until INTEGER,                    -- when a reason ends by itself, as a day's cap does; null: only when it is lifted
  actor TEXT NOT NULL,
  lifted_at INTEGER,
  lifted_by TEXT                    -- null with a lifted_at: it had ended by itself, and made room for the next of its name
);
CREATE UNIQUE INDEX suspensions_open ON suspensions (project_id, reason) WHERE lifted_at IS NULL;
CREATE INDEX suspensions_by_project ON suspensions (project_id, seq DESC);

-- One permission to notify: whoever inserts the row, and only then, sends.
CREATE TABLE threshold_notices (
  project_id TEXT NOT NULL,
  cap_type TEXT NOT NULL,
  period TEXT NOT NULL,             -- the day; for a gauge the day too, so that one message a day is sent at most
  threshold INTEGER NOT NULL,       -- percent
  revision INTEGER NOT NULL,        -- of the cap
  at INTEGER NOT NULL,
  sent INTEGER NOT NULL,            -- 0: nobody was told, because a change of the cap or the suspension said it already
  PRIMARY KEY (project_id, cap_type, period, threshold, revision)
) WITHOUT ROWID;

-- Each decision of a sweep with what it was decided from: the answer to "why was I suspended". A sweep writes them first, and then does
-- what they say, in the same transaction: its plan and its journal in one.
CREATE TABLE evaluations (
  seq INTEGER PRIMARY KEY,
  project_id TEXT NOT NULL,
  run TEXT NOT NULL,                -- the job
  at INTEGER NOT NULL,
  cap_type TEXT NOT NULL,
  period TEXT NOT NULL,
  used INTEGER,                     -- null: the source could not be read
  cap INTEGER,                      -- null: unlimited
  revision INTEGER NOT NULL,
  decision TEXT NOT NULL,           -- suspended, warned, lifted; ok, unlimited, unknown; exceeded: already stopped
  threshold INTEGER,                -- warned: the highest one reached, in percent
  dry_run INTEGER NOT NULL
);
CREATE INDEX evaluations_by_project ON evaluations (project_id, seq DESC);
CREATE INDEX evaluations_by_run ON evaluations (run, project_id);
-- That nothing happened is told once a period, not with every sweep.
CREATE UNIQUE INDEX evaluations_quiet ON evaluations (project_id, cap_type, period, revision, decision, dry_run)
  WHERE decision IN ('ok', 'unlimited', 'unknown', 'exceeded');

CREATE TABLE audit_log (
  seq INTEGER PRIMARY KEY,
  operation TEXT NOT NULL,          -- one id for all that one request changed
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,            -- organization:<id>, project:<id>, key:<id>, quota:<provider>
  project_id TEXT,
  before TEXT NOT NULL,             -- JSON
  after TEXT NOT NULL
);
CREATE INDEX audit_log_by_project ON audit_log (project_id, seq DESC);
CREATE INDEX audit_log_by_subject ON audit_log (subject, seq DESC);

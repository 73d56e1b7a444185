-- Abuse: how much each project asks and how much of it fails, what monitoring systems report, and what was decided from both.

-- A request is counted in the minute of its answer. Requests that we refuse ourselves (401, 403, 429) are no requests here.
CREATE TABLE project_minutes (
  minute INTEGER NOT NULL,          -- since 1970
  project_id TEXT NOT NULL,
  requests INTEGER NOT NULL,
  errors INTEGER NOT NULL,          -- of the requests: wrong ones, and failures
  failures INTEGER NOT NULL,        -- of the errors: 5xx, ours or the provider's
  probes INTEGER NOT NULL,          -- refused, and no requests: a working key tried what no key of the project ever opens
  flagged INTEGER NOT NULL DEFAULT 0, -- part of a pattern that was found: no part of what is usual
  PRIMARY KEY (minute, project_id)
) WITHOUT ROWID;

-- What is usual: hours that are over, without what was flagged in them. An hour without use has no row.
CREATE TABLE project_hours (
  project_id TEXT NOT NULL,
  hour INTEGER NOT NULL,            -- since 1970
  requests INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  windows INTEGER NOT NULL,         -- those of five minutes in which there was a request
  PRIMARY KEY (project_id, hour)
) WITHOUT ROWID;
CREATE INDEX project_hours_by_hour ON project_hours (hour);

-- Each decision of `auto_suspend` with what it was decided from.
CREATE TABLE abuse_detections (
  seq INTEGER PRIMARY KEY,
  run TEXT NOT NULL UNIQUE,         -- the job
  project_id TEXT NOT NULL,
  pattern TEXT NOT NULL,
  at INTEGER NOT NULL,
  as_of INTEGER NOT NULL,           -- the end of the second window
  decision TEXT NOT NULL,           -- suspended, reported, already_suspended, not_active; normal, insufficient
  why TEXT NOT NULL,
  evidence TEXT NOT NULL,           -- measured, given
  enforce INTEGER NOT NULL,
  inputs TEXT NOT NULL              -- JSON
);
CREATE INDEX abuse_detections_by_project ON abuse_detections (project_id, seq DESC);
CREATE INDEX abuse_detections_found ON abuse_detections (project_id, pattern, as_of) WHERE decision IN ('suspended', 'reported');

-- What monitoring systems sent. Written before they are answered; the job is asked for afterwards, and again by housekeeping after a crash.
CREATE TABLE signals (
  seq INTEGER PRIMARY KEY,
  source TEXT NOT NULL,             -- alertmanager, grafana, datadog, api
  key TEXT NOT NULL,                -- the same alert, however often it is sent
  status TEXT NOT NULL CHECK (status IN ('firing', 'resolved')),
  project_id TEXT,
  pattern TEXT,
  metrics TEXT NOT NULL,            -- JSON
  enforce INTEGER NOT NULL,
  title TEXT,
  link TEXT,
  started_at INTEGER NOT NULL,
  received_at INTEGER NOT NULL,
  resolved_at INTEGER,              -- when we heard of it
  received INTEGER NOT NULL DEFAULT 1, -- how often
  outcome TEXT NOT NULL,            -- waiting (for its job), asked, no_project, no_pattern, unknown_project, resolved
  job_id TEXT,
  UNIQUE (source, key)
);
CREATE INDEX signals_waiting ON signals (seq) WHERE outcome = 'waiting';
CREATE INDEX signals_by_project ON signals (project_id, seq DESC) WHERE project_id IS NOT NULL;
CREATE INDEX signals_by_source ON signals (source, seq DESC);

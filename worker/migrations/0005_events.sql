-- What is to be told to those who asked to be told: written in the transaction of what happened, delivered afterwards, at least once.

CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,          -- says what happened, so that it is told once
  type TEXT NOT NULL,               -- quota.warning, project.suspended, project.reactivated, …
  project_id TEXT NOT NULL,
  data TEXT NOT NULL,               -- JSON
  created_at INTEGER NOT NULL,
  dispatched_at INTEGER             -- handed on for delivery
);
CREATE INDEX events_waiting ON events (seq) WHERE dispatched_at IS NULL;
-- For housekeeping: what belongs to days that are over.
CREATE INDEX threshold_notices_by_period ON threshold_notices (period);
CREATE INDEX counters_by_day ON counters (day);
CREATE INDEX adjustments_by_day ON adjustments (day);

CREATE INDEX events_by_project ON events (project_id, seq DESC);

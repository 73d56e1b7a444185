-- Backups of projects' databases, and what was restored from them. The bytes stand in R2; this says which of them belong together.
-- Times are epoch milliseconds, sizes bytes, hashes SHA-256 in hex.

CREATE TABLE backups (
  id TEXT PRIMARY KEY,              -- bak_ and what follows the type in its job's id
  project_id TEXT NOT NULL,
  export_type TEXT NOT NULL CHECK (export_type IN ('full', 'schema')),
  status TEXT NOT NULL CHECK (status IN ('running', 'verified', 'failed', 'deleting')),
  job_id TEXT NOT NULL,
  requested_by TEXT NOT NULL,       -- admin, key:<id>, job:<id>
  moment INTEGER NOT NULL DEFAULT 0,-- which freeze of the database it is read from; parts of earlier ones count for nothing
  taken_at INTEGER,                 -- when that freeze began: the moment that the backup shows
  manifest_key TEXT,                -- in R2
  schema_hash TEXT,
  schema_version INTEGER,
  table_count INTEGER,
  row_count INTEGER,
  part_count INTEGER,
  sql_bytes INTEGER,
  stored_bytes INTEGER,
  sha256 TEXT,                      -- of the whole file, all parts in their order
  copies TEXT,                      -- in Telegram: sent or failed; null where no bot is configured
  error TEXT,
  changed_by TEXT NOT NULL,         -- the operation that wrote the row last
  created_at INTEGER NOT NULL,
  ended_at INTEGER,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX backups_by_project ON backups (project_id, created_at DESC, id DESC);
CREATE UNIQUE INDEX backups_running ON backups (project_id) WHERE status = 'running';
CREATE INDEX backups_by_project_status ON backups (project_id, status, created_at DESC, id DESC);
CREATE INDEX backups_by_status ON backups (status, ended_at);
CREATE INDEX backups_verified ON backups (project_id, export_type, created_at DESC, id DESC) WHERE status = 'verified';

CREATE TABLE backup_parts (
  backup_id TEXT NOT NULL REFERENCES backups (id),
  moment INTEGER NOT NULL,
  number INTEGER NOT NULL,          -- from 1 on
  key TEXT NOT NULL,                -- in R2
  stored_bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL,             -- of the stored bytes
  sql_bytes INTEGER NOT NULL,
  next TEXT,                        -- where the part after it begins; null after the last one
  schema_hash TEXT NOT NULL,
  schema_version INTEGER NOT NULL,
  tables TEXT NOT NULL,             -- JSON: those whose last row stands in it, with rows and content hash
  PRIMARY KEY (backup_id, moment, number)
) WITHOUT ROWID;

-- Copies in Telegram: each holds whole parts.
CREATE TABLE backup_documents (
  backup_id TEXT NOT NULL REFERENCES backups (id),
  first_part INTEGER NOT NULL,
  last_part INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  file_id TEXT NOT NULL,
  PRIMARY KEY (backup_id, first_part)
) WITHOUT ROWID;

CREATE TABLE restores (
  project_id TEXT PRIMARY KEY,      -- the new project: it is filled once
  backup_id TEXT NOT NULL,
  source_project_id TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('running', 'completed', 'failed')),
  attempt INTEGER NOT NULL,         -- how often it was asked for after a failure, from 1 on
  job_id TEXT NOT NULL,
  requested_by TEXT NOT NULL,
  error TEXT,
  changed_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  ended_at INTEGER,
  updated_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX restores_by_backup ON restores (backup_id);
CREATE INDEX restores_running ON restores (updated_at) WHERE status = 'running';

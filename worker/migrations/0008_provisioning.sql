-- How far a project's creation has come, what it was made known to, and what became of a key's earlier versions. Times are epoch milliseconds.

-- Projects from before there was provisioning are ready.
ALTER TABLE projects ADD COLUMN provisioning TEXT NOT NULL DEFAULT 'done' CHECK (provisioning IN ('pending', 'running', 'done', 'failed'));
CREATE INDEX projects_unready ON projects (id) WHERE provisioning <> 'done';

CREATE TABLE provisionings (
  project_id TEXT PRIMARY KEY REFERENCES projects (id),
  asked TEXT NOT NULL,            -- JSON: the request that created it, so that the same one again is known
  key_id TEXT NOT NULL,           -- the first key
  job_id TEXT NOT NULL,           -- the first run of the job that may write here
  database_at INTEGER,            -- since when its database is there
  ended_at INTEGER,
  failed_step TEXT,
  error TEXT
) WITHOUT ROWID;

CREATE TABLE registrations (
  project_id TEXT NOT NULL REFERENCES projects (id),
  service TEXT NOT NULL CHECK (service IN ('auth', 'realtime', 'storage')),
  status TEXT NOT NULL CHECK (status IN ('pending', 'registered', 'local')), -- pending: asked for, and perhaps done; local: no service is configured
  reference TEXT,                 -- what the service calls it
  registered_at INTEGER,
  PRIMARY KEY (project_id, service)
) WITHOUT ROWID;

ALTER TABLE api_key_versions ADD COLUMN rotation TEXT;       -- whoever asked for this version by this name gets no other
ALTER TABLE api_key_versions ADD COLUMN rotation_asked TEXT; -- JSON: what was asked for under that name
ALTER TABLE api_key_versions ADD COLUMN grace_uses INTEGER NOT NULL DEFAULT 0; -- since a newer version exists
ALTER TABLE api_key_versions ADD COLUMN grace_ended_at INTEGER; -- once its end is written down and told
UPDATE api_key_versions SET grace_ended_at = expires_at WHERE expires_at IS NOT NULL;
CREATE INDEX api_key_versions_in_grace ON api_key_versions (expires_at) WHERE expires_at IS NOT NULL AND grace_ended_at IS NULL;

-- Migration 3 was given these after it had been applied somewhere. A migration that was released is never changed (test/upgrade).
CREATE INDEX IF NOT EXISTS organizations_archived ON organizations (created_at DESC, id DESC) WHERE status = 'ARCHIVED';
CREATE INDEX IF NOT EXISTS billing_periods_by_end ON billing_periods (organization_id, ends_at);
CREATE INDEX IF NOT EXISTS projects_gone ON projects (lifecycle, created_at DESC, id DESC) WHERE lifecycle <> 'ACTIVE';
CREATE INDEX IF NOT EXISTS api_keys_unrevoked ON api_keys (project_id, expires_at) WHERE revoked_at IS NULL;
CREATE UNIQUE INDEX IF NOT EXISTS api_key_versions_by_hash ON api_key_versions (key_id, hash);

-- Where a backup is restored to be compared is destroyed afterwards. That can fail, and the backup is none the worse for it: until it is
-- done, this says so, and housekeeping tries again.
ALTER TABLE backups ADD COLUMN scratch INTEGER NOT NULL DEFAULT 0; -- 1: there may be one
CREATE INDEX backups_scratch ON backups (updated_at) WHERE scratch = 1 AND status <> 'running';

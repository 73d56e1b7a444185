-- How a project's share of the provider's limit is set. default: a tenth of the limit; fixed: calls_per_day; unlimited: none, because an
-- operator asked for it. Code of the release before writes calls_per_day alone: a project that has one is fixed, whatever stands here.
ALTER TABLE projects ADD COLUMN share_mode TEXT NOT NULL DEFAULT 'default' CHECK (share_mode IN ('default', 'fixed', 'unlimited'));
UPDATE projects SET share_mode = 'fixed' WHERE calls_per_day IS NOT NULL;

/**
 * The ledger's tables, as steps that each run once. Durable Objects refuse `PRAGMA user_version`, so a table records the finished steps.
 * Never change a released step, because existing stores have already run it (test/upgrade checks this).
 */

const STEPS: readonly string[] = [
  `
  CREATE TABLE state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

  CREATE TABLE days (
    date TEXT PRIMARY KEY,
    charged INTEGER NOT NULL DEFAULT 0,
    untracked INTEGER NOT NULL DEFAULT 0,
    reserved_expired INTEGER NOT NULL DEFAULT 0,
    refused INTEGER NOT NULL DEFAULT 0,
    would_refuse INTEGER NOT NULL DEFAULT 0,
    provider_spent INTEGER,
    provider_limit INTEGER,
    provider_base INTEGER NOT NULL DEFAULT 0,
    observed_at INTEGER,
    charged_when_observed INTEGER NOT NULL DEFAULT 0
  ) WITHOUT ROWID;

  CREATE TABLE usage (
    date TEXT NOT NULL,
    caller TEXT NOT NULL,
    hour INTEGER NOT NULL,
    used INTEGER NOT NULL,
    PRIMARY KEY (date, caller, hour)
  ) WITHOUT ROWID;

  CREATE TABLE minutes (minute INTEGER PRIMARY KEY, used INTEGER NOT NULL);

  CREATE TABLE reservations (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('held', 'committed', 'released', 'expired', 'late')),
    fingerprint TEXT NOT NULL,
    caller TEXT NOT NULL,
    calls INTEGER NOT NULL,
    batch_of INTEGER,
    probe INTEGER NOT NULL DEFAULT 0,
    opened_at INTEGER NOT NULL,
    start_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    spent_before INTEGER,
    charged_before INTEGER NOT NULL,
    charged_when_observed INTEGER NOT NULL,
    charged INTEGER,
    settled_at INTEGER
  ) WITHOUT ROWID;
  CREATE INDEX held_by_caller ON reservations (caller, calls) WHERE state = 'held';
  CREATE INDEX held_by_expiry ON reservations (expires_at) WHERE state = 'held';
  CREATE INDEX settled_by_time ON reservations (settled_at) WHERE state <> 'held';

  CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL
  );
  CREATE INDEX audit_by_time ON audit (at);
  `,
  // Sums of `usage`, so that no decision must add up the rows of ten thousand projects. Returned slots of the pace.
  `
  CREATE TABLE callers (
    date TEXT NOT NULL,
    caller TEXT NOT NULL,
    used INTEGER NOT NULL,
    PRIMARY KEY (date, caller)
  ) WITHOUT ROWID;
  INSERT INTO callers (date, caller, used) SELECT date, caller, sum(used) FROM usage GROUP BY date, caller;

  CREATE TABLE hours (
    date TEXT NOT NULL,
    hour INTEGER NOT NULL,
    used INTEGER NOT NULL,
    PRIMARY KEY (date, hour)
  ) WITHOUT ROWID;
  INSERT INTO hours (date, hour, used) SELECT date, hour, sum(used) FROM usage GROUP BY date, hour;

  ALTER TABLE days ADD COLUMN projects INTEGER NOT NULL DEFAULT 0;
  UPDATE days SET projects = coalesce(
    (SELECT sum(used) FROM callers WHERE callers.date = days.date AND caller >= 'project:' AND caller < 'project;'), 0);

  ALTER TABLE reservations ADD COLUMN pace_chain INTEGER;
  CREATE INDEX returned_slots ON reservations (pace_chain, start_at) WHERE charged = 0 AND pace_chain IS NOT NULL;
  `,
  // Counters for monitoring that only rise. An instance's own counters would restart at 0.
  `
  CREATE TABLE tallies (
    name TEXT NOT NULL,
    label TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (name, label)
  ) WITHOUT ROWID;
  `,
  // Stores of the first releases lack late commits and the ids of operators' changes. This step rebuilds both tables in any store.
  `
  CREATE TABLE rebuilt_reservations (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('held', 'committed', 'released', 'expired', 'late')),
    fingerprint TEXT NOT NULL,
    caller TEXT NOT NULL,
    calls INTEGER NOT NULL,
    batch_of INTEGER,
    probe INTEGER NOT NULL DEFAULT 0,
    opened_at INTEGER NOT NULL,
    start_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    spent_before INTEGER,
    charged_before INTEGER NOT NULL,
    charged_when_observed INTEGER NOT NULL,
    charged INTEGER,
    settled_at INTEGER,
    pace_chain INTEGER
  ) WITHOUT ROWID;
  INSERT INTO rebuilt_reservations (id, state, fingerprint, caller, calls, batch_of, probe, opened_at, start_at, expires_at, spent_before,
      charged_before, charged_when_observed, charged, settled_at, pace_chain)
    SELECT id, state, fingerprint, caller, calls, batch_of, probe, opened_at, start_at, expires_at, spent_before,
      charged_before, charged_when_observed, charged, settled_at, pace_chain FROM reservations;
  DROP TABLE reservations;
  ALTER TABLE rebuilt_reservations RENAME TO reservations;
  CREATE INDEX held_by_caller ON reservations (caller, calls) WHERE state = 'held';
  CREATE INDEX held_by_expiry ON reservations (expires_at) WHERE state = 'held';
  CREATE INDEX settled_by_time ON reservations (settled_at) WHERE state <> 'held';
  CREATE INDEX returned_slots ON reservations (pace_chain, start_at) WHERE charged = 0 AND pace_chain IS NOT NULL;

  CREATE TABLE rebuilt_audit (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    action TEXT NOT NULL,
    actor TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL
  );
  INSERT INTO rebuilt_audit (id, at, action, actor, before, after)
    SELECT CAST(id AS TEXT), at, action, actor, before, after FROM audit ORDER BY at;
  DROP TABLE audit;
  ALTER TABLE rebuilt_audit RENAME TO audit;
  CREATE INDEX audit_by_time ON audit (at);
  `,
  // Time of an operator's last correction on that day. An earlier count may belong to another account.
  `
  ALTER TABLE days ADD COLUMN corrected_at INTEGER;
  `,
  // The provider's counts of a day, with the ledger's calls that they can contain: proof for refunds.
  `
  CREATE TABLE counts (
    date TEXT NOT NULL,
    part INTEGER NOT NULL,
    at INTEGER NOT NULL,
    spent INTEGER NOT NULL,
    taken INTEGER NOT NULL,
    PRIMARY KEY (date, part)
  ) WITHOUT ROWID;
  ALTER TABLE minutes ADD COLUMN charged INTEGER NOT NULL DEFAULT 0;
  `,
  // Booked turns are read after each start of the ledger.
  `
  DROP INDEX returned_slots;
  CREATE INDEX booked_turns ON reservations (pace_chain, start_at) WHERE pace_chain IS NOT NULL;
  `,
];

export function migrate(storage: DurableObjectStorage): void {
  const { sql } = storage;
  sql.exec("CREATE TABLE IF NOT EXISTS migrations (step INTEGER PRIMARY KEY)");
  const done = sql.exec<{ steps: number }>("SELECT count(*) AS steps FROM migrations").one().steps;
  STEPS.slice(done).forEach((step, offset) => {
    storage.transactionSync(() => {
      sql.exec(step);
      sql.exec("INSERT INTO migrations (step) VALUES (?)", done + offset + 1);
    });
  });
}

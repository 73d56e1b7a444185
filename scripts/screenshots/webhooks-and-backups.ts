/** Demo webhooks with deliveries, and demo backups. */
import { HOUR_MS } from "./month.ts";

type Row = readonly [sql: string, ...values: (string | number | null)[]];

const MINUTE_MS = 60_000;
const PROJECT = "proj_citation_desk";

const WEBHOOK = `INSERT INTO webhooks (id, project_id, url, description, event_types, status, status_reason, status_at, failures, created_at, updated_at)
  VALUES (?1, '${PROJECT}', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?7, ?7)`;
const DELIVERY = `INSERT INTO webhook_deliveries
    (id, webhook_id, project_id, message_id, event_id, event_type, payload, status, reason, attempts, next_attempt_at, due_at, enqueued_at, changed_by, created_at, ended_at)
  VALUES ('dlv_' || ?1, ?2, '${PROJECT}', 'msg_' || ?1, 'demo:' || ?1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, 'demo', ?9, ?10)`;
const ATTEMPT = `INSERT INTO webhook_attempts (delivery_id, run, attempt, at, duration_ms, status_code, error, response)
  VALUES ('dlv_' || ?1, 1, ?2, ?3, ?4, ?5, ?6, ?7)`;
const BACKUP = `INSERT INTO backups (id, project_id, export_type, status, job_id, requested_by, taken_at, manifest_key, schema_hash, schema_version,
    table_count, row_count, part_count, sql_bytes, stored_bytes, sha256, copies, error, changed_by, created_at, ended_at, updated_at)
  VALUES ('bak_' || ?1, '${PROJECT}', ?2, ?3, 'export_backup-' || ?1, 'admin', ?4, 'demo', 'demo', 7, 12, ?5, 3, ?6 * 6, ?6, 'demo', ?7, ?8, 'demo', ?4, ?4, ?4)`;

const CHAT = "wh_c7R2kQ9vXb41LmTzW8aE";
const BILLING = "wh_N3fYp6uHs0JdGq5oVt2K";

/** Id number `nth` with the length of a real one. */
const hex = (nth: number, digits: number): string => `${nth}f0c0b1a7d1e4a6b8c9d0e1f2a3b4c5d6e7f8091`.slice(0, digits);

export function webhooksAndBackups(now: number): Row[] {
  const ago = (minutes: number): number => now - minutes * MINUTE_MS;
  const sent = (nth: number, to: string, type: string, minutes: number): Row[] => {
    const id = hex(nth, 32);
    const at = ago(minutes);
    const payload = JSON.stringify({ type, timestamp: new Date(at).toISOString(), data: { project_id: PROJECT } });
    return [
      [DELIVERY, id, to, type, payload, "delivered", null, 1, null, at, at + 1_900],
      [ATTEMPT, id, 1, at + 1_600, 184 + nth * 31, 200, null, "ok"],
    ];
  };
  const refused = hex(9, 32);
  const payload = JSON.stringify({
    type: "project.suspended",
    timestamp: new Date(ago(4)).toISOString(),
    data: { project_id: PROJECT, reason: "quota:storage_uploads_per_day" },
  });
  return [
    [WEBHOOK, CHAT, "https://chat.alexandria.example/hooks/books", "the team's chat", null, "enabled", null, ago(9 * 24 * 60), 0],
    [
      WEBHOOK,
      BILLING,
      "https://billing.alexandria.example/quota",
      "billing",
      JSON.stringify(["quota.warning", "project.suspended"]),
      "enabled",
      null,
      ago(30 * 24 * 60),
      1,
    ],
    ...sent(1, CHAT, "backup.completed", 610),
    ...sent(2, CHAT, "quota.warning", 131),
    ...sent(3, BILLING, "quota.warning", 131),
    ...sent(4, CHAT, "project.suspended", 4),
    [DELIVERY, refused, BILLING, "project.suspended", payload, "pending", null, 2, now + 4 * MINUTE_MS, ago(4), null],
    [ATTEMPT, refused, 1, ago(4) + 1_400, 512, 503, "The endpoint returned 503.", "Under maintenance, back in ten minutes"],
    [ATTEMPT, refused, 2, ago(4) + 6_900, 15_000, null, "No response within 15 s.", null],
    [BACKUP, hex(1, 40), "full", "verified", now - 10 * HOUR_MS, 48_210, 18_400_000, "sent", null],
    [
      BACKUP,
      hex(2, 40),
      "full",
      "failed",
      now - 33 * HOUR_MS,
      null,
      null,
      null,
      "The database was written to during each of 5 attempts. Start another backup at a quieter time.",
    ],
    [BACKUP, hex(3, 40), "full", "verified", now - 34 * HOUR_MS, 47_655, 18_100_000, "sent", null],
    [BACKUP, hex(4, 40), "schema", "verified", now - 9 * 24 * HOUR_MS, 0, 6_200, "sent", null],
  ];
}

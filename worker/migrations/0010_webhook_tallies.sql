-- How many deliveries ended how, and how many are under way: what monitoring reads, however many are kept. Tests are left out. Those that
-- ended only ever rise: one that is sent once more ends once more, and none is taken away with its row.

CREATE TABLE webhook_tallies (
  status TEXT PRIMARY KEY CHECK (status IN ('pending', 'delivered', 'failed', 'skipped')),
  count INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO webhook_tallies (status, count)
  SELECT s.value, (SELECT count(*) FROM webhook_deliveries d WHERE d.status = s.value AND d.is_test = 0)
  FROM json_each('["pending", "delivered", "failed", "skipped"]') AS s;

CREATE TRIGGER webhook_delivery_tallied AFTER INSERT ON webhook_deliveries WHEN new.is_test = 0 BEGIN
  UPDATE webhook_tallies SET count = count + 1 WHERE status = new.status;
END;

CREATE TRIGGER webhook_delivery_moved AFTER UPDATE OF status ON webhook_deliveries WHEN new.is_test = 0 AND old.status <> new.status BEGIN
  UPDATE webhook_tallies SET count = count + 1 WHERE status = new.status;
  UPDATE webhook_tallies SET count = count - 1 WHERE status = 'pending' AND old.status = 'pending';
END;

CREATE TRIGGER webhook_delivery_forgotten AFTER DELETE ON webhook_deliveries WHEN old.is_test = 0 AND old.status = 'pending' BEGIN
  UPDATE webhook_tallies SET count = count - 1 WHERE status = 'pending';
END;

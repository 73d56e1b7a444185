/** A database that reveals every possible defect of a dump. Its SQL works in every SQLite version. */

export const TRAP_SCHEMA: readonly string[] = [
  // A child before its parent, and a table that is its own parent.
  `CREATE TABLE orders(id INTEGER PRIMARY KEY AUTOINCREMENT, customer INTEGER REFERENCES customers(id) ON DELETE CASCADE, above INTEGER REFERENCES orders(id), total REAL, CHECK (total IS NULL OR total > -1e300))`,
  `CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, note)`,
  `CREATE TABLE anything(a, b, c)`,
  `CREATE TABLE "select ""from"" where"("order" INT, "a b" TEXT, [group] BLOB, \`x;y\` NUMERIC, "ünï😀" TEXT DEFAULT 'it''s; -- no comment')`,
  `CREATE TABLE strict_one(i INTEGER, r REAL, t TEXT, b BLOB, v ANY) STRICT`,
  `CREATE TABLE keyed(region TEXT COLLATE NOCASE, n INTEGER, v TEXT, PRIMARY KEY (region, n DESC)) WITHOUT ROWID`,
  `CREATE TABLE mixed_keys(k PRIMARY KEY, v) WITHOUT ROWID`,
  `CREATE TABLE computed(a INTEGER, b INTEGER GENERATED ALWAYS AS (a * 2) STORED, c TEXT GENERATED ALWAYS AS ('#' || a) VIRTUAL, d)`,
  `CREATE TABLE named_rowid(rowid TEXT, x)`,
  `CREATE TABLE no_rowid_left(rowid, _rowid_, oid)`,
  `CREATE TABLE empty(x INTEGER, y TEXT)`,
  `CREATE TABLE text_key(k TEXT PRIMARY KEY, v)`,
  `CREATE TABLE wide(${Array.from({ length: 100 }, (_, n) => `c${n}`).join(", ")})`,
  `CREATE TABLE wide_keyed(${Array.from({ length: 100 }, (_, n) => (n === 7 ? "c7 INTEGER PRIMARY KEY" : `c${n}`)).join(", ")})`,
  `CREATE UNIQUE INDEX one_note ON customers(note) WHERE note IS NOT NULL`,
  `CREATE INDEX by_lower_name ON customers(lower(name) DESC, id)`,
  `CREATE INDEX "by ""odd"" name" ON "select ""from"" where"("a b" COLLATE RTRIM, [group])`,
  `CREATE VIEW totals(customer, total) AS SELECT customer, sum(total) FROM orders GROUP BY customer -- the end`,
  `CREATE VIEW later AS SELECT * FROM totals /* ; not the end */ WHERE total > 1 /* open`,
  `CREATE TABLE log(at INTEGER PRIMARY KEY, what TEXT)`,
  `CREATE TRIGGER on_order AFTER INSERT ON orders WHEN new.total > 0 BEGIN
     INSERT INTO log(what) SELECT CASE WHEN new.total > 10 THEN 'big; END' ELSE 'small' END;
     UPDATE customers SET note = CASE note WHEN 'x' THEN 'y' ELSE note END WHERE id = new.customer; -- ; END;
   END`,
  `CREATE TRIGGER "instead;of" INSTEAD OF DELETE ON totals BEGIN DELETE FROM orders WHERE customer = old.customer; END`,
  `CREATE VIRTUAL TABLE search USING fts5(title, body, tokenize = 'porter unicode61')`,
  `CREATE TABLE articles(id INTEGER PRIMARY KEY, title, body)`,
  `CREATE VIRTUAL TABLE article_search USING fts5(title, body, content='articles', content_rowid='id')`,
  `CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1)`,
];

const hexText = (hex: string): string => `CAST(X'${hex}' AS TEXT)`;
const reals = [
  "1.0",
  "0.1",
  "0.30000000000000004",
  "9e999",
  "-9e999",
  "1e300",
  "-2.5e-310",
  "5e-324",
  "1.7976931348623157e308",
  "9007199254740993.0",
  "123456789.125",
  "1234.5678",
  "-0.0",
  "1e22",
  "100.0",
  "3.0e-5",
];
const integers = ["9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775808", "0", "-1"];
const texts = [
  "'plain'",
  "'both a\nnewline and a literal \\n'",
  "'\r\n\t;--/*'",
  "'it''s \"quoted\"'",
  "''",
  "'😀 é \u{FEFF}bom'",
  "'\u{FEFF}'",
  "'\u{FFFD}'",
  hexText("610062"),
  hexText("00"),
  hexText("FF61"),
  hexText("80"),
  hexText("EDA080"),
  "'.dump'",
  "'\n.quit\n'",
  "'1.0'",
  "'9223372036854775808'",
];
const blobs = ["X''", "X'00'", "X'00FF10'", "CAST('text' AS BLOB)"];

export const TRAP_ROWS: readonly string[] = [
  `INSERT INTO customers VALUES (1, 'Ada', NULL), (2, 'Grace', 'x'), (3, 'Émile', '🧨')`,
  `INSERT INTO orders VALUES (1, 1, NULL, 12.5), (2, 1, 1, 0.1), (900719925474099, 3, 2, NULL)`,
  `DELETE FROM orders WHERE id = 900719925474099`,
  ...[...reals, ...integers, ...texts, ...blobs, "NULL"].map(
    (value, n) => `INSERT INTO anything VALUES (${value}, ${n}, typeof(${value}))`,
  ),
  `INSERT INTO anything(rowid, a) VALUES (-9223372036854775808, 'first'), (9223372036854775807, 'last'), (-5, 'negative')`,
  ...texts.map((value) => `INSERT INTO "select ""from"" where" VALUES (1, ${value}, X'00', 1.5, ${value})`),
  `INSERT INTO strict_one VALUES (9007199254740993, 1, 'x', X'00', 1.0), (NULL, 2.5, NULL, NULL, 'any'), (1, 9e999, 'é', X'', 7)`,
  `INSERT INTO keyed VALUES ('b', 1, 'x'), ('B', 2, 'y'), ('a', -1, 'z'), ('a', 5, 'w'), ('ä', 9007199254740993, 'v')`,
  `INSERT INTO mixed_keys VALUES (1, 'int'), (1.5, 'real'), ('1', 'text'), (X'31', 'blob'), (-9e999, 'inf'), (9007199254740993, 'big'), ('it''s', 1), (${hexText("610062")}, 2), (${hexText("FF")}, 3), ('é', 4)`,
  `INSERT INTO computed(a, d) VALUES (1, 'x'), (NULL, 1.0), (-7, X'07')`,
  `INSERT INTO named_rowid(_rowid_, rowid, x) VALUES (5, 'five', 1), (2, 'two', 2)`,
  `INSERT INTO no_rowid_left VALUES (3, 'c', 1), (1, 'a', 2), (2, 'b', 3)`,
  `INSERT INTO text_key VALUES ('b', 1), ('a', 2), ('c', 3)`,
  ...[1, 2, 3].map(
    (n) => `INSERT INTO wide VALUES (${Array.from({ length: 100 }, (_, at) => (at % 3 === 0 ? `'v${n}-${at}'` : n * at)).join(", ")})`,
  ),
  ...[3, 1, 2].map(
    (n) => `INSERT INTO wide_keyed VALUES (${Array.from({ length: 100 }, (_, at) => (at === 7 ? n : `zeroblob(${at * 13})`)).join(", ")})`,
  ),
  `INSERT INTO search(rowid, title, body) VALUES (10, 'Dunes', 'The spice must flow'), (3, 'Emma', 'handsome, clever, and rich')`,
  `INSERT INTO articles VALUES (1, 'One', 'first article'), (2, 'Two', 'second article')`,
  `INSERT INTO article_search(article_search) VALUES ('rebuild')`,
  `INSERT INTO boxes VALUES (7, 1.5, 2.5), (2, -1.25, 1e10)`,
];

/** Values that no single statement can hold: text, bytes, text that is not UTF-8, all three in one row, and a key. */
export const LONG_ROWS: readonly string[] = [
  `CREATE TABLE long_values(id INTEGER PRIMARY KEY, t TEXT CHECK (length(t) > 99), b BLOB, u UNIQUE)`,
  `INSERT INTO long_values VALUES (1, replace(hex(zeroblob(150000)), '00', 'é😀''\n'), NULL, NULL)`,
  `INSERT INTO long_values VALUES (2, replace(hex(zeroblob(20000)), '0', 'x'), zeroblob(1500000), CAST(replace(hex(zeroblob(99999)), '00', 'same') || X'FF00' AS TEXT))`,
  `INSERT INTO long_values VALUES (3, replace(hex(zeroblob(33000)), '0', ''''), X'01', replace(hex(zeroblob(99999)), '00', 'same'))`,
  `CREATE TABLE many_long(${Array.from({ length: 60 }, (_, n) => `c${n}`).join(", ")})`,
  `INSERT INTO many_long VALUES (${Array.from({ length: 60 }, (_, n) => `replace(hex(zeroblob(${1000 + n * 60})), '00', '${n % 2 ? "''" : "ab"}')`).join(", ")})`,
  `CREATE TABLE long_key(k TEXT PRIMARY KEY, v) WITHOUT ROWID`,
  `INSERT INTO long_key VALUES (replace(hex(zeroblob(50000)), '00', 'k') || '1', 1), (replace(hex(zeroblob(50000)), '00', 'k') || '2', 2), ('short', 3)`,
  `CREATE TABLE _qc_long(taken)`,
];

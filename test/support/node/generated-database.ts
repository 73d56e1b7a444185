/** Random databases with the contents that a dump may get wrong. Statements that SQLite rejects are left out. */
import { array, constantFrom, integer, oneof, record, tuple } from "fast-check";
import type { Arbitrary } from "fast-check";

const WORDS = ["v0 v1 v2 v3 k K", "rowid _rowid_ oid t c0 words _qc_long _qc_long_", "order select group end begin A a"];
const NAMES = [
  ...WORDS.flatMap((words) => words.split(" ")),
  "a b",
  'a"b',
  "it's",
  "é😀",
  "x;y",
  "-- x",
  "/* x",
  "[z",
  "`q`",
  ".shell",
  "go",
  "",
  "a\nb",
  "a\r.quit",
];
const q = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const name = oneof({ arbitrary: constantFrom(...NAMES.slice(0, 24)), weight: 12 }, { arbitrary: constantFrom(...NAMES), weight: 3 }).map(q);

const BREAKS = ["\n", "\r", "\r\n", "\u2028", "\u0085", "\v", "\f"];
const HOSTILE = BREAKS.flatMap((line) => [
  `go${line}.shell "id>PWNED"${line}`,
  `${line}/${line}.system id>PWNED${line}`,
  `');${line}.shell id>PWNED${line}--`,
]);
const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;
const VALUES = [
  ..."NULL 0 1 -1 9007199254740993 -9007199254740993 9223372036854775807 -9223372036854775808 1.0 0.1 -0.0 9e999 -9e999 5e-324 1e300".split(
    " ",
  ),
  ..."'' 'plain' 'it''s' '1.0' '.dump' 'é😀' X'' X'00FF' CAST(X'FF61' AS TEXT) CAST(X'610062' AS TEXT)".split(/ (?=[X'C])/u),
  ...HOSTILE.map(text),
  "replace(hex(zeroblob(40000)), '00', 'x''')",
  "zeroblob(70000)",
];
const value = constantFrom(...VALUES);
const TEXTS = ["'apple secret'", "'secret draft apple'", "'apple'", "''", "NULL", "'draft'", "'first\nsecond'", "7"];

const type = constantFrom("", "INTEGER", "TEXT", "REAL", "BLOB", "NUMERIC", "INT", "ANY", "VARCHAR(10)", "/* a\r.quit\n */ TEXT");
const rule = constantFrom(
  ...[
    "| NOT NULL|UNIQUE|COLLATE NOCASE|DEFAULT 'a''b'|DEFAULT 'a\n.quit\n'|DEFAULT (1+1)|CHECK (1 -- x\n)",
    "REFERENCES p(a)|REFERENCES \"v0\" DEFERRABLE INITIALLY DEFERRED|GENERATED ALWAYS AS (1)|AS ('x'||1) STORED",
    "PRIMARY KEY|INTEGER PRIMARY KEY AUTOINCREMENT|DEFAULT -9.5|CHECK (1 <> 'a\r\nb')",
  ].flatMap((rules) => rules.split("|")),
);
const column = tuple(name, type, rule).map((parts) => parts.join(" "));
const tail = constantFrom("", "", "STRICT", "WITHOUT ROWID", "STRICT, WITHOUT ROWID");
const table = record({ of: name, columns: array(column, { minLength: 1, maxLength: 5 }), key: array(name, { maxLength: 3 }), tail }).map(
  ({ of, columns, key, tail: end }) =>
    `CREATE TABLE ${of}(${[...columns, ...(key.length === 0 ? [] : [`PRIMARY KEY (${key.join(" DESC, ")})`])].join(",\n")}) ${end}`,
);
const rows = tuple(name, array(array(value, { minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 6 })).map(([of, all]) =>
  // One statement per number of columns. SQLite rejects those that do not fit the table.
  [1, 2, 3, 4, 5].map(
    (length) =>
      `INSERT OR IGNORE INTO ${of} VALUES ${all.map((row) => `(${Array.from({ length }, (_, at) => row[at % row.length]).join(", ")})`).join(", ")}`,
  ),
);
const index = tuple(
  constantFrom("INDEX", "UNIQUE INDEX"),
  name,
  name,
  name,
  constantFrom("", "WHERE 1 -- x\n", "WHERE typeof(k) <> 'a\nb'"),
).map(([kind, own, of, by, where]) => `CREATE ${kind} ${own} ON ${of}(${by} DESC, lower('x\n' || ${by})) ${where}`);
const view = tuple(name, name, name).map(([own, of, by]) => `CREATE VIEW ${own} AS SELECT ${by}, 1 AS [go]\n.shell FROM ${of} -- end`);
const plainView = tuple(name, name).map(([own, of]) => `CREATE VIEW ${own} AS\rSELECT * FROM ${of} /* open`);
const goView = constantFrom(
  `CREATE VIEW report AS SELECT\ngo\n.shell "id>PWNED"\nFROM k AS go`,
  "CREATE VIEW broken AS SELECT * FROM nowhere",
);
const trigger = tuple(name, name, name).map(
  ([own, of, other]) =>
    `CREATE TRIGGER ${own} AFTER INSERT ON ${of} BEGIN\n INSERT INTO ${other} SELECT 'a;\n.shell' /* END; */; SELECT CASE 1 WHEN 1 THEN ';END;' END;\nEND`,
);
const searched = tuple(
  name,
  constantFrom("", ", tokenize = 'porter'", ", columnsize=0", ", detail=column", ", prefix='2 3'"),
  array(constantFrom(...TEXTS), { maxLength: 5 }),
  constantFrom("", "rank|'bm25(10.0, 1.0)'", "pgsz|64", "automerge|2"),
).map(([own, option, texts, setting]) => [
  `CREATE VIRTUAL TABLE ${own} USING fts5(title, body${option})`,
  ...(setting === "" ? [] : [`INSERT INTO ${own}(${own}, rank) VALUES (${setting.replace(/(\w+)\|/u, "'$1',")})`]),
  ...texts.map((each, at) => `INSERT INTO ${own}(rowid, title, body) VALUES (${at * 7 - 3}, ${each}, 'apple apple ${at}')`),
]);
const external = tuple(
  constantFrom("posts", "search", "v0"),
  constantFrom("posts", "search_content", "live"),
  array(constantFrom(...TEXTS), { maxLength: 5 }),
  integer({ min: 0, max: 31 }),
  constantFrom("content", "cont", "c"),
).map(([own, of, texts, indexed, option]) => [
  `CREATE TABLE ${of === "live" ? "posts_all" : of}(id INTEGER PRIMARY KEY, title, body)`,
  ...(of === "live" ? ["CREATE VIEW live AS SELECT * FROM posts_all WHERE id <> 2"] : []),
  ...texts.map((each, at) => `INSERT INTO ${of === "live" ? "posts_all" : of} VALUES (${at}, ${each}, 'body ${at}')`),
  `CREATE VIRTUAL TABLE ${own} USING fts5(title, body, ${option}='${of}', content_rowid='id')`,
  ...texts.flatMap((_, at) =>
    (indexed >> at) % 2 === 0 ? [] : [`INSERT INTO ${own}(rowid, title, body) SELECT id, title, body FROM ${of} WHERE id = ${at}`],
  ),
]);
const contentless = name.map((own) => [
  `CREATE VIRTUAL TABLE ${own} USING fts5(a, content='')`,
  `INSERT INTO ${own}(rowid, a) VALUES (1, 'apple')`,
]);
const boxes = tuple(name, name, constantFrom("rtree", "rtree_i32"), constantFrom("", ", +note", ", +v0")).map(([own, id, module, more]) => [
  `CREATE VIRTUAL TABLE ${own} USING ${module}(${id}, v1, v2${more})`,
  ...[3, 1, 2].map((at) => `INSERT INTO ${own}(${id}, v1, v2) VALUES (${at}, ${at * 1.1}, ${at * 2.2})`),
]);
const poisoned = constantFrom(
  ...["#b('", "$b('", "@b('", ":b('", '#b("', "#b([", "#b(`", "#b(/*", "#b(--"].map((token) => [
    `CREATE VIRTUAL TABLE poisoned USING rtree(id ${token}), a, b)`,
    `CREATE VIEW repaired AS SELECT 1 AS ['"\`]`,
  ]),
);

const one = (statement: Arbitrary<string>): Arbitrary<string[]> => statement.map((each) => [each]);

/** The statements that make a database. */
export const generatedDatabase = tuple(
  array(table, { minLength: 1, maxLength: 4 }),
  array(rows, { maxLength: 8 }).map((all) => all.flat()),
  array(
    oneof(
      { arbitrary: oneof(one(index), one(view), one(plainView), one(goView)), weight: 6 },
      { arbitrary: oneof(searched, boxes), weight: 4 },
      { arbitrary: contentless, weight: 1 },
      { arbitrary: poisoned, weight: 1 },
    ),
    { maxLength: 5 },
  ).map((all) => all.flat()),
  // At most one external-content index per database. A second one may add rows to the first one's table, and the first index would lack them.
  array(external, { maxLength: 1 }).map((all) => all.flat()),
  array(trigger, { maxLength: 2 }),
  array(name, { maxLength: 2 }).map((all) => all.map((of) => `DELETE FROM ${of} WHERE rowid % 2 = 0`)),
).map((parts) => parts.flat());

/** The `sqlite3` shell of this machine, which reads a dump as an operator does. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

export const hasShell = spawnSync("sqlite3", ["--version"]).status === 0;

export interface ShellRun {
  readonly status: number | null;
  readonly complaints: string;
  /** Other files in the database's folder. */
  readonly files: readonly string[];
}

/** Loads a dump without `-safe`, and shows the resulting database. */
export function throughShell(sql: string, look: (database: DatabaseSync) => void, ...options: readonly string[]): ShellRun {
  const folder = mkdtempSync(join(tmpdir(), "dump-"));
  try {
    const { status, stderr } = spawnSync("sqlite3", [...options, "-init", "/dev/null", "new.db"], {
      cwd: folder,
      input: sql,
      encoding: "utf8",
    });
    const database = new DatabaseSync(join(folder, "new.db"), { enableForeignKeyConstraints: false });
    try {
      look(database);
    } finally {
      database.close();
    }
    return { status, complaints: stderr, files: readdirSync(folder).filter((name) => name !== "new.db") };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

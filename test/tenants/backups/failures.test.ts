import { introspectWorkflow } from "cloudflare:test";
import type { WorkflowIntrospector } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Deps } from "../../../worker/src/deps.ts";
import { triesOf } from "../../jobs/support.ts";
import { freshStart, get, setClock } from "../../support/worker.ts";
import { ask as queried, objectOf, run } from "../../tenant-database/support.ts";
import { makeOrganization, makeProject, refusal } from "../../support/tenants/http.ts";
import {
  RELEASED,
  backUp,
  download,
  fill,
  hashOf,
  resourcesOf,
  interceptSteps,
  objects,
  partsOf,
  eventsOf,
  withBucket,
} from "./support.ts";
import type { Backup } from "./support.ts";

let workflows: WorkflowIntrospector;
beforeEach(async () => {
  await freshStart();
  workflows = await introspectWorkflow(env.JOBS);
  await workflows.modifyAll(async (instance) => instance.disableRetryDelays());
  await makeOrganization("org");
  await makeProject("shop");
});
afterEach(async () => {
  await workflows.dispose();
  vi.restoreAllMocks();
});

const numbersOf = (parts: readonly Record<string, unknown>[], moment: number): unknown[] =>
  parts.filter((part) => part["moment"] === moment).map(({ number }) => number);

/** A bucket that fails once, at the nth part, before or after storing it. */
function failingAt(nth: number, effect: "before" | "after", puts: string[]) {
  let armed = true;
  return (deps: Deps): Deps =>
    withBucket(deps, {
      put: async (key: string, value: ArrayBuffer, options: R2PutOptions) => {
        puts.push(key.split("/").at(-1) ?? "");
        const fails = armed && puts.length === nth;
        if (fails && effect === "before") {
          armed = false;
          throw new Error("R2 is unavailable");
        }
        const done = await deps.backups.put(key, value, options);
        if (!fails) return done;
        armed = false;
        throw new Error("R2 did not respond");
      },
    });
}

const part = (number: number): string => `00000${number}.sql.gz`;

describe("an interrupted backup continues with the next part, and the file is the same", () => {
  test("if R2 fails before or after storing a part", async () => {
    await fill("shop", 3);
    const undisturbed = (await backUp("shop")).backup;
    expect(undisturbed).toMatchObject({ status: "verified", parts: 2 });
    for (const effect of ["before", "after"] as const) {
      const puts: string[] = [];
      const bucket = failingAt(2, effect, puts);
      interceptSteps((step, _nth, deps) => (step === "dump" ? bucket(deps) : undefined));
      const { backup, job } = await backUp("shop");
      expect(puts).toEqual([part(1), part(2), part(2)]);
      expect(triesOf(job)).toContain("dump 1 failed: storage_unavailable: Backup storage (R2) did not respond.");
      expect(backup).toMatchObject({ status: "verified", sha256: undisturbed.sha256 });
    }
  });

  test("if any other step is interrupted after its effect", async () => {
    await run("shop", "CREATE TABLE t(x)", "INSERT INTO t VALUES (1)");
    const undisturbed = (await backUp("shop")).backup;
    const cut: string[] = [];
    interceptSteps(
      () => undefined,
      (step, nth) => {
        if (cut.includes(`${step} ${nth}`)) return;
        cut.push(`${step} ${nth}`);
        throw new Error("the Worker died");
      },
    );
    const { backup, job } = await backUp("shop");
    expect(cut.map((name) => name.slice(0, -2))).toEqual([
      "begin",
      "freeze",
      "dump",
      "dump",
      "thaw",
      "restore into a scratch",
      "compare",
      "compare",
      "destroy the scratch",
      "write the manifest",
      "complete",
      "tell operators",
    ]);
    expect(job).toMatchObject({ status: "completed", tries: 2 });
    expect(backup).toMatchObject({ status: "verified", sha256: undisturbed.sha256 });
    expect((await eventsOf("shop")).map(({ type }) => type)).toEqual(["backup.completed", "backup.completed"]);
    expect(await resourcesOf("shop", backup.job_id)).toEqual(RELEASED);
  });
});

describe("an expired lease", () => {
  /** Lets the lease expire before the second part. `meanwhile` runs after the expiry. */
  const expireLease = (meanwhile: () => Promise<unknown>) => {
    const puts: string[] = [];
    const bucket = failingAt(2, "before", puts);
    interceptSteps(async (step, _nth, deps, attempt) => {
      if (step !== "dump") return undefined;
      if (attempt === 2) {
        await setClock("2031-05-14T14:10:00Z");
        await meanwhile();
      }
      return bucket(deps);
    });
  };

  test("without a write: the backup continues, and still shows one point in time", async () => {
    await fill("shop", 3);
    expireLease(async () => queried("shop", "SELECT 1"));
    const { backup } = await backUp("shop");
    expect(backup).toMatchObject({ status: "verified", taken_at: "2031-05-14T14:03:11Z" });
    expect(numbersOf(await partsOf(backup.id), 1)).toEqual([1, 2]);
  });

  test("with a write: the dump restarts with a new freeze, and the first parts are removed", async () => {
    await fill("shop", 3);
    expireLease(async () => run("shop", "CREATE TABLE meanwhile(x)"));
    const { backup } = await backUp("shop");
    expect(backup).toMatchObject({ status: "verified", taken_at: "2031-05-14T14:10:00Z", tables: 2 });
    const parts = await partsOf(backup.id);
    expect([numbersOf(parts, 1), numbersOf(parts, 2)]).toEqual([[], [1, 2]]);
    expect(await objects("shop")).toEqual([...[1, 2].map((n) => `shop/${backup.id}/2/${part(n)}`), `shop/${backup.id}/manifest.v2.json`]);
    expect(await resourcesOf("shop", backup.job_id)).toEqual(RELEASED);
  });

  test("with writes during every dump: the backup fails and states the reason", async () => {
    await run("shop", "CREATE TABLE t(x)");
    let minutes = 5;
    interceptSteps(async (step) => {
      if (step !== "dump") return;
      minutes += 5;
      await setClock(`2031-05-14T15:${String(minutes).padStart(2, "0")}:00Z`);
      await run("shop", "INSERT INTO t VALUES (1)");
    });
    const { backup } = await backUp("shop");
    expect(backup).toMatchObject({
      status: "failed",
      error: expect.stringMatching(/^The database was written to during each of 5 attempts/u) as string,
    });
    expect(await objects("shop")).toEqual([]);
  });
});

describe("a backup that fails", () => {
  /** Checks everything that is true of every failure, and returns the error. */
  const failed = async (): Promise<string | null> => {
    const { backup, job } = await backUp("shop");
    expect(backup).toMatchObject({ status: "failed", sha256: null });
    expect(job).toMatchObject({ status: "failed", error: backup.error });
    expect((await eventsOf("shop")).map(({ type, data }) => [type, data["error"]])).toEqual([["backup.failed", backup.error]]);
    expect([await objects("shop"), await partsOf(backup.id)]).toEqual([[], []]);
    expect(await resourcesOf("shop", backup.job_id)).toEqual(RELEASED);
    expect((await queried("shop", "CREATE TABLE afterwards(x)")).result).toBe("rows");
    expect(refusal(await get(`/api/projects/shop/backups/${backup.id}/download`))).toMatchObject({ status: 409, code: "conflict" });
    return backup.error;
  };

  test("because the database cannot be dumped fails immediately", async () => {
    await run("shop", "CREATE VIRTUAL TABLE gone USING fts5(x, content = '')");
    expect(await failed()).toMatch(/^unprocessable: The full-text table "gone" keeps no content/u);
  });

  test("because R2 stays unavailable releases the database", async () => {
    interceptSteps((step, _nth, deps) =>
      step === "dump" ? withBucket(deps, { put: async () => Promise.reject(new Error("unavailable")) }) : undefined,
    );
    expect(await failed()).toMatch(/^storage_unavailable: Backup storage \(R2\) did not respond/u);
  });

  test("because a stored part was changed is never verified", async () => {
    await run("shop", "CREATE TABLE t(x)");
    interceptSteps(async (step) => {
      if (step === "restore into a scratch") await env.BACKUPS.put((await objects("shop"))[0] ?? "", "something else");
    });
    expect(await failed()).toMatch(/^conflict: Part 1 of the backup is damaged or missing/u);
  });

  test("because the restored copy differs names the difference", async () => {
    await run("shop", "CREATE TABLE t(x)", "INSERT INTO t VALUES (1)");
    interceptSteps(async (step, nth, { tenantDatabases }) => {
      if (step !== "compare" || nth > 1) return;
      const { results } = await env.DB.prepare("SELECT job_id FROM backups").all<{ job_id: string }>();
      const scratch = `scratch:${results[0]?.job_id}`;
      await tenantDatabases.call(scratch, async (database) => database.thaw(results[0]?.job_id ?? ""));
      await run(scratch, "INSERT INTO t VALUES (2)");
      await tenantDatabases.call(scratch, async (database) => database.freeze(results[0]?.job_id ?? ""));
    });
    expect(await failed()).toMatch(/^The restored copy differs: table t has 2 rows instead of 1\.$/u);
  });

  test("because rows have no parent states their number", async () => {
    await run("shop", "CREATE TABLE p(id INTEGER PRIMARY KEY)", "CREATE TABLE c(p REFERENCES p(id))");
    await objectOf("shop").destroy();
    const sql = "CREATE TABLE p(id INTEGER PRIMARY KEY);CREATE TABLE c(p REFERENCES p(id));INSERT INTO c VALUES (7);";
    await objectOf("shop").beginImport("orphans");
    await objectOf("shop").importPart("orphans", 0, sql);
    await objectOf("shop").finishImport("orphans", 0);
    expect(await failed()).toMatch(/foreign_key_check: 1 rows without a parent/u);
  });
});

describe("a download", () => {
  let backup: Backup;
  let keys: string[];
  beforeEach(async () => {
    await fill("shop", 3);
    ({ backup } = await backUp("shop"));
    keys = (await objects("shop")).filter((key) => key.endsWith(".gz"));
  });
  const address = (): string => `/api/projects/shop/backups/${backup.id}/download`;

  test("has headers with length, hash and name", async () => {
    const { headers, bytes, status } = await download(backup);
    expect([status, keys.length]).toEqual([200, 2]);
    expect(hashOf(bytes)).toBe(backup.sha256);
    expect(
      Object.fromEntries(["content-type", "content-length", "content-disposition", "repr-digest"].map((name) => [name, headers.get(name)])),
    ).toEqual({
      "content-type": "application/gzip",
      "content-length": String(backup.stored_bytes),
      "content-disposition": 'attachment; filename="shop-20310514T140311Z-full.sql.gz"',
      "repr-digest": `sha-256=:${Buffer.from(backup.sha256 ?? "", "hex").toString("base64")}:`,
    });
  });

  test("of damaged, swapped or missing parts is refused before anything is sent", async () => {
    const [first = "", second = ""] = keys;
    const bytes = async (key: string) => (await env.BACKUPS.get(key))?.arrayBuffer() ?? new ArrayBuffer(0);
    const [one, two] = [await bytes(first), await bytes(second)];
    const expectRefusal = async (part: number): Promise<void> =>
      expect(await get(address())).toMatchObject({ status: 409, body: { code: "conflict", part } });
    await env.BACKUPS.put(second, one, { sha256: hashOf(new Uint8Array(one)) });
    await expectRefusal(2);
    const flipped = new Uint8Array(two.slice(0));
    flipped[100] = (flipped[100] ?? 0) ^ 1;
    await env.BACKUPS.put(second, flipped, { sha256: hashOf(flipped) });
    await expectRefusal(2);
    await env.BACKUPS.put(second, two, { sha256: hashOf(new Uint8Array(two)) });
    await env.BACKUPS.delete(first);
    await expectRefusal(1);
  });

  test("has a manifest, which is refused if it is missing, damaged or another backup's", async () => {
    const [key, url] = [`shop/${backup.id}/manifest.v2.json`, `/api/projects/shop/backups/${backup.id}/manifest`];
    const whole = (await (await env.BACKUPS.get(key))?.text()) ?? "";
    const damaged = [
      "",
      whole.slice(0, -20),
      whole.replace(backup.id, "bak_other"),
      whole.replace(backup.sha256 ?? "", "0".repeat(64)),
      "null",
    ];
    for (const text of damaged) {
      await env.BACKUPS.put(key, text);
      expect(await get(url)).toMatchObject({
        status: 409,
        body: { code: "conflict", detail: "The manifest of this backup is damaged. Use another backup." },
      });
    }
    await env.BACKUPS.delete(key);
    expect(await get(url)).toMatchObject({ status: 409, body: { detail: "The manifest of this backup is missing. Use another backup." } });
  });
});

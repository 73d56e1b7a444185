/** Backups whose job is cancelled during a step. They use flags, because a promise cannot be awaited in another invocation. */
import { introspectWorkflow, runInDurableObject } from "cloudflare:test";
import type { WorkflowIntrospector } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createDeps } from "../../../worker/src/deps.ts";
import type { Deps } from "../../../worker/src/deps.ts";
import { TenantDatabase } from "../../../worker/src/index.ts";
import { removeExpiredBackups } from "../../../worker/src/tenants/backups/retention.ts";
import { freezeSource, sourceOf } from "../../../worker/src/tenants/backups/source.ts";
import { findBackup } from "../../../worker/src/store/backups/backups.ts";
import { pause } from "../../jobs/support.ts";
import { freshStart, post, setClock } from "../../support/worker.ts";
import { run } from "../../tenant-database/support.ts";
import { makeOrganization, makeProject, right } from "../../support/tenants/http.ts";
import { backUp, resourcesOf, interceptSteps, readBackup, start } from "./support.ts";

let workflows: WorkflowIntrospector;
const flags = { reached: false, released: false, finished: false };
beforeEach(async () => {
  Object.assign(flags, { reached: false, released: false, finished: false });
  await freshStart();
  workflows = await introspectWorkflow(env.JOBS);
  await makeOrganization("org");
  await makeProject("shop");
  await run("shop", "CREATE TABLE IF NOT EXISTS t(x)");
});
afterEach(async () => {
  await workflows.dispose();
  vi.restoreAllMocks();
});

const deps = (): Deps => createDeps(env, () => Date.now());

async function raised(flag: keyof typeof flags, withinMs = 10_000): Promise<boolean> {
  for (let waited = 0; !flags[flag] && waited < withinMs; waited += 5) await pause(5);
  return flags[flag];
}

/** Cancels the job of a backup that has reached the gate, and runs housekeeping. */
async function cancelled(): Promise<string> {
  const { id, job_id } = await start("shop");
  await raised("reached");
  right(await post(`/api/jobs/${job_id}/cancel`));
  await removeExpiredBackups(deps());
  expect(await readBackup("shop", id)).toMatchObject({ status: "failed", error: "Its job ended early: it was cancelled." });
  return job_id;
}

/** Keys in the scratch database's key-value store. */
const keysOf = async (job: string): Promise<unknown[]> =>
  runInDurableObject(env.TENANT_DATABASE.getByName(`scratch:${job}`), (_, { storage }) => [...storage.kv.list()].map(([name]) => name));

test("a step in progress stops when its job is cancelled", async () => {
  interceptSteps(async (step) => {
    if (step !== "restore into a scratch") return;
    flags.reached = true;
    await raised("released");
    flags.finished = true;
  });
  const job = await cancelled();
  flags.released = true;
  expect(await raised("finished", 300)).toBe(false);
  expect(await keysOf(job)).toEqual([]);
});

describe("a call that reaches the scratch after it was destroyed", () => {
  test.each([["beginImport", ["created_at", "import"]]] as const)(
    "(%s) leaves data in it only until the failed backup is removed",
    async (method, keys) => {
      const real = TenantDatabase.prototype[method];
      vi.spyOn(TenantDatabase.prototype, method).mockImplementation(async function late(this: TenantDatabase, id: string) {
        if (id.startsWith("export_backup") && !/:\d+$/u.test(id) && !flags.reached) {
          flags.reached = true;
          await raised("released");
          setTimeout(() => void (flags.finished = true), 20);
        }
        return Reflect.apply(real, this, [id]) as never;
      });
      const job = await cancelled();
      flags.released = true;
      expect(await raised("finished")).toBe(true);
      expect(await keysOf(job)).toEqual(keys);
      await setClock("2031-06-14T14:03:11Z");
      expect(await removeExpiredBackups(deps())).toMatchObject({ removed: 1 });
      expect(await keysOf(job)).toEqual([]);
    },
  );
});

test("a freeze after the end of its backup does not block writes", async () => {
  const { backup } = await backUp("shop");
  const row = await findBackup(env.DB, backup.id);
  if (row === null) throw new Error("Backup not found");
  await expect(freezeSource(deps(), sourceOf(row, 2))).rejects.toThrow("This backup is no longer running.");
  expect(await resourcesOf("shop", backup.job_id)).toMatchObject({ frozen: null });
});

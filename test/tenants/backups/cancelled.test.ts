/** Backups whose job is cancelled while a step of it is under way. Flags, not promises: a promise does not reach from one invocation into another. */
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
import { backUp, leftBehind, meddle, readBackup, start } from "./support.ts";

let workflows: WorkflowIntrospector;
const flags = { reached: false, goOn: false, over: false };
beforeEach(async () => {
  Object.assign(flags, { reached: false, goOn: false, over: false });
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

/** Cancels the job of a backup that has reached the gate, and gives the backup up as housekeeping does. */
async function cancelled(): Promise<string> {
  const { id, job_id } = await start("shop");
  await raised("reached");
  right(await post(`/api/jobs/${job_id}/cancel`));
  await removeExpiredBackups(deps());
  expect(await readBackup("shop", id)).toMatchObject({ status: "failed", error: "Its job ended early: it was cancelled." });
  return job_id;
}

/** All that the scratch remembers, notes of its own included. */
const notesOf = async (job: string): Promise<unknown[]> =>
  runInDurableObject(env.TENANT_DATABASE.getByName(`scratch:${job}`), (_, { storage }) => [...storage.kv.list()].map(([name]) => name));

test("a step that is under way when its job is cancelled goes no further", async () => {
  meddle(async (step) => {
    if (step !== "restore into a scratch") return;
    flags.reached = true;
    await raised("goOn");
    flags.over = true;
  });
  const job = await cancelled();
  flags.goOn = true;
  expect(await raised("over", 300)).toBe(false);
  expect(await notesOf(job)).toEqual([]);
});

describe("a call that reaches the scratch after it was destroyed", () => {
  test.each([["beginImport", ["created_at", "import"]]] as const)(
    "(%s) leaves something in it only until the failed backup is forgotten",
    async (method, notes) => {
      const real = TenantDatabase.prototype[method];
      vi.spyOn(TenantDatabase.prototype, method).mockImplementation(async function late(this: TenantDatabase, id: string) {
        if (id.startsWith("export_backup") && !/:\d+$/u.test(id) && !flags.reached) {
          flags.reached = true;
          await raised("goOn");
          setTimeout(() => void (flags.over = true), 20);
        }
        return Reflect.apply(real, this, [id]) as never;
      });
      const job = await cancelled();
      flags.goOn = true;
      expect(await raised("over")).toBe(true);
      expect(await notesOf(job)).toEqual(notes);
      await setClock("2031-06-14T14:03:11Z");
      expect(await removeExpiredBackups(deps())).toMatchObject({ removed: 1 });
      expect(await notesOf(job)).toEqual([]);
    },
  );
});

test("a freeze that comes after its backup was given up holds nobody's writes up", async () => {
  const { backup } = await backUp("shop");
  const row = await findBackup(env.DB, backup.id);
  if (row === null) throw new Error("There is no such backup");
  await expect(freezeSource(deps(), sourceOf(row, 2))).rejects.toThrow("This backup is no longer running.");
  expect(await leftBehind("shop", backup.job_id)).toMatchObject({ frozen: null });
});

/**
 * A job may sleep through a deploy, or be moved in the middle of it. The platform knows what is done by the names of steps, and by how often
 * each came: whatever was named otherwise would be done once more, and what follows it, too. So a name is never changed or given to
 * something else, and no step is put before one that was released. To change what a job does, give it a type of its own.
 */
import { expect, test } from "vitest";
import autoSuspend from "../../worker/src/handlers/auto-suspend.ts?raw";
import checkUsageLimits from "../../worker/src/handlers/check-usage-limits.ts?raw";
import deliverWebhook from "../../worker/src/handlers/deliver-webhook.ts?raw";
import exportBackup from "../../worker/src/handlers/export-backup.ts?raw";
import harvest from "../../worker/src/handlers/harvest.ts?raw";
import housekeeping from "../../worker/src/handlers/housekeeping.ts?raw";
import provisionProject from "../../worker/src/handlers/provision-project.ts?raw";
import resetQuotas from "../../worker/src/handlers/reset-quotas.ts?raw";
import restoreBackup from "../../worker/src/handlers/restore-backup.ts?raw";
import rotateKey from "../../worker/src/handlers/rotate-key.ts?raw";
import jobRun from "../../worker/src/jobs/job-run.ts?raw";
import workflow from "../../worker/src/job-workflow.ts?raw";
import { JOB_TYPES } from "../../worker/src/jobs/catalog.ts";
import { SERVICES } from "../../worker/src/services/registration.ts";

const HANDLERS = {
  auto_suspend: autoSuspend,
  check_usage_limits: checkUsageLimits,
  deliver_webhook: deliverWebhook,
  export_backup: exportBackup,
  harvest,
  housekeeping,
  provision_project: provisionProject,
  reset_quotas: resetQuotas,
  restore_backup: restoreBackup,
  rotate_key: rotateKey,
} as const;

/** Names of steps and sleeps as they stand in the source, in its order; a step in a variable has its name where that is set. */
const named = (source: string): string[] =>
  [
    ...source.matchAll(
      /(?:\.step|\.sleepUntil|oneStep<"\w+">|\bundone|steps\.(?:do|sleep))\(\s*("[^"]+"|`[^`]+`)|\bstep(?:: \w+)? = ("\w+")/gu,
    ),
  ].map(([, called, set]) => (called ?? set ?? "").replaceAll(/["`]/gu, ""));

test("names of steps stay as they were released", () => {
  expect(Object.keys(HANDLERS).toSorted()).toEqual(JOB_TYPES.toSorted());
  expect(Object.fromEntries(Object.entries(HANDLERS).map(([type, source]) => [type, named(source)]))).toEqual({
    auto_suspend: ["decide"],
    check_usage_limits: ["page ${number}", "look for the projects", "begin the next part"],
    deliver_webhook: ["take", "try ${attempt}", "before try ${attempt + 1}"],
    export_backup: [
      "begin",
      "give up",
      "tell operators",
      "restore into a scratch",
      "compare",
      "destroy the scratch",
      "write the manifest",
      "complete",
      "throw away earlier parts",
      "dump",
      "dump",
      "thaw",
      "freeze",
      "wait for the database",
      "copy to Telegram",
      "pause for Telegram",
    ],
    harvest: ["run", "begin the next run"],
    housekeeping: ["wake", "relay", "signals", "abuse", "resume", "dispatch", "provider count", "remove ${name}"],
    provision_project: ["begin", "database", "key", "undo: write down why", "undo ${name}", "database", "project", "look again"],
    reset_quotas: ["execute"],
    restore_backup: [
      "record",
      "tell operators",
      "is the project ready",
      "until look ${look + 1}",
      "begin",
      "load",
      "undo",
      "compare",
      "open",
    ],
    rotate_key: ["look for the key", "rotate", "end the grace", "grace"],
  });
  // The three services are steps of provisioning, and of its undoing.
  expect(SERVICES).toEqual(["auth", "realtime", "storage"]);
  expect([named(jobRun), named(workflow)]).toEqual([["${name}: falling asleep", "record the end"], ["delay"]]);
});

/**
 * `rotate_key`: adds a version of a key by its hash, sleeps through the grace period and records its end. The earlier version stops without
 * this job: its `expires_at` decides at each request.
 */
import { Problem } from "../errors.ts";
import type { Deps } from "../deps.ts";
import { rootId } from "../jobs/job-id.ts";
import type { JobExecutionResult } from "../jobs/job-run.ts";
import { endGraceInTime, projectOfKey } from "../store/keys/grace.ts";
import type { GraceRow } from "../store/keys/grace.ts";
import { isoOrNull } from "../lib/time.ts";
import { rotate } from "../tenants/keys/rotation.ts";
import { changeableProject } from "../tenants/projects/projects.ts";
import type { JobContext, JobHandler } from "./context.ts";

/** One sleep covers the grace period. More are needed only if clocks differ. */
const MAX_SLEEPS = 20;

const NO_HASH =
  "A job cannot show a new key. Send POST /api/projects/{id}/keys/{key_id}/rotate, which returns it. Or generate a key and send its SHA-256 as new_key_sha256.";

export const rotateKeyHandler: JobHandler<"rotate_key"> = async (
  { key_id, new_key_sha256: digest, immediate = false, version: made },
  job,
) => {
  job.log.info("Key rotation started", { key_id });
  if (made === undefined && digest === undefined) return { success: false, error: NO_HASH };
  const projectId = await job.step("look for the key", async (_attempt, { db }) => projectOfKey(db, key_id));
  if (projectId === null) return { success: false, error: `The key ${JSON.stringify(key_id)} does not exist.` };
  const version =
    made ??
    (await job.step("rotate", async (_attempt, deps) =>
      rotateTo(deps, { projectId, keyId: key_id, digest: digest ?? "", immediate }, job),
    ));
  return keepGrace({ projectId, keyId: key_id, version }, job);
};

interface Rotation {
  readonly projectId: string;
  readonly keyId: string;
  readonly digest: string;
  readonly immediate: boolean;
}

/** Rotates the key once for all runs of the job. Returns the version. */
async function rotateTo(deps: Deps, { projectId, keyId, digest, immediate }: Rotation, job: JobContext): Promise<number> {
  const input = { immediate, digest, rotation: rootId(job.id) };
  const actor = { actor: `job:${job.id}`, key: null };
  return (await rotate(deps, async () => changeableProject(deps, projectId), keyId, input, actor)).rotatedVersion;
}

type Grace = Parameters<typeof endGraceInTime>[1];

async function keepGrace(grace: Grace, job: JobContext): Promise<JobExecutionResult> {
  for (let sleeps = 0; ; sleeps += 1) {
    const observed = await job.step("end the grace", async (_attempt, { db, clock }) => {
      const now = clock();
      const row = await endGraceInTime(db, grace, now);
      return { row, until: stillWorks(row, now) ? row.expires_at : null };
    });
    if (observed.until === null) return { success: true, data: graceReport(grace, observed.row) };
    if (sleeps === MAX_SLEEPS) throw new Problem("internal_error", "The grace period has not ended although the job slept until its end.");
    await job.sleepUntil("grace", observed.until);
  }
}

function stillWorks(row: GraceRow | null, now: number): row is GraceRow & { readonly expires_at: number } {
  return row !== null && row.revoked_at === null && row.grace_ended_at === null && row.expires_at !== null && row.expires_at > now;
}

/** Result of the job. `earlier` is null if the version was deleted, because many newer ones exist. */
function graceReport({ projectId, keyId, version }: Grace, row: GraceRow | null) {
  const earlier = row && {
    version: row.version,
    ended_at: isoOrNull(row.revoked_at ?? row.expires_at),
    uses_in_grace: row.grace_uses,
    last_used_at: isoOrNull(row.last_used_at),
  };
  return { project_id: projectId, key_id: keyId, version, earlier };
}

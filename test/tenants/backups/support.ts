/** Backups through the API, with jobs whose steps and services tests can change. */
import { createHash } from "node:crypto";
import { env, exports } from "cloudflare:workers";
import { vi } from "vitest";
import type { Deps } from "../../../worker/src/deps.ts";
import { HANDLERS } from "../../../worker/src/handlers/index.ts";
import type { JobExecutionResult } from "../../../worker/src/jobs/job-run.ts";
import type { JobContext } from "../../../worker/src/handlers/context.ts";
import { gunzip } from "../../../worker/src/lib/bytes.ts";
import { ended } from "../../jobs/support.ts";
import type { Job } from "../../jobs/support.ts";
import { ADMIN_TOKEN, get, post } from "../../support/worker.ts";
import { objectOf, run } from "../../tenant-database/support.ts";
import { right, rows } from "../../support/tenants/http.ts";

export interface Backup extends Record<string, unknown> {
  readonly id: string;
  readonly project_id: string;
  readonly status: string;
  readonly job_id: string;
  readonly sha256: string | null;
  readonly stored_bytes: number | null;
  readonly error: string | null;
  readonly copies: string | null;
}

/** A restore as the API shows it. */
export interface Restore extends Record<string, unknown> {
  readonly status: string;
  readonly job_id: string;
  readonly error: string | null;
}

export const restoreOf = async (project: string): Promise<Restore> => right(await get<Restore>(`/api/projects/${project}/restore`));

export const start = async (project: string, body: Record<string, unknown> = {}): Promise<Backup> =>
  right(await post<Backup>(`/api/projects/${project}/backups`, body));

export const readBackup = async (project: string, id: string): Promise<Backup> =>
  right(await get<Backup>(`/api/projects/${project}/backups/${id}`));

/** Requests a backup and waits for its end. */
export async function backUp(project: string, body: Record<string, unknown> = {}): Promise<{ readonly backup: Backup; readonly job: Job }> {
  const { id, job_id } = await start(project, body);
  const job = await ended(job_id);
  return { backup: await readBackup(project, id), job };
}

export interface File {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export async function download({ project_id, id }: Backup, token = ADMIN_TOKEN): Promise<File> {
  const url = `http://coordinator.test/api/projects/${project_id}/backups/${id}/download`;
  const response = await exports.default.fetch(new Request(url, { headers: { authorization: `Bearer ${token}` } }));
  return { status: response.status, headers: response.headers, bytes: new Uint8Array(await response.arrayBuffer()) };
}

/** Unpacks a file of one part. workerd's stream reads only one gzip member. test/e2e/backups.ts reads files of several parts. */
export const unpacked = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> => gunzip(bytes);

export const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

type BackupJob = "export_backup" | "restore_backup" | "provision_project";
type Handler = (payload: unknown, job: JobContext) => Promise<JobExecutionResult>;
const handlers = HANDLERS as unknown as Record<BackupJob, Handler>;
const REAL = { ...handlers };

/** Runs with each attempt of each step. It may throw, or return other services. */
export type StepHook = (step: string, nth: number, deps: Deps, attempt: number) => Promise<Deps | void> | Deps | void;

/** Runs the job's own code with hooks around its steps. `after` runs once the step's work is done, and can still fail the step. */
export function interceptSteps(
  before: StepHook,
  after: StepHook = () => undefined,
  type: BackupJob = "export_backup",
  services = (deps: Deps): Deps => deps,
): void {
  vi.spyOn(handlers, type).mockImplementation(async (payload, job) => {
    const seen = new Map<string, number>();
    const step: JobContext["step"] = async (name, work) => {
      const nth = (seen.get(name) ?? 0) + 1;
      seen.set(name, nth);
      return job.step(name, async (attempt, deps) => {
        const changed = (await before(name, nth, deps, attempt)) ?? deps;
        const result = await work(attempt, changed);
        await after(name, nth, changed, attempt);
        return result;
      });
    };
    return REAL[type](payload, { ...job, deps: services(job.deps), step });
  });
}

/** Makes the jobs of a type wait before a step, until `release` is called. */
export function waitBefore(at: string, type: BackupJob): { readonly reached: Promise<void>; readonly release: () => void } {
  const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  interceptSteps(
    async (step) => {
      if (step !== at) return;
      reach();
      await released;
    },
    undefined,
    type,
  );
  return { reached, release };
}

/** Services with a changed bucket. `other` replaces some of its methods. */
export function withBucket(deps: Deps, other: Partial<Record<keyof R2Bucket, unknown>>): Deps {
  const backups = new Proxy(deps.backups, {
    get: (target, name) => {
      const own = other[name as keyof R2Bucket];
      if (own !== undefined) return own;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
  return { ...deps, backups };
}

/** Inserts `count` megabytes of random, incompressible data. A part of a backup holds two. */
export async function fill(project: string, count: number): Promise<void> {
  await run(project, "CREATE TABLE IF NOT EXISTS random(id INTEGER PRIMARY KEY, b BLOB)");
  await run(
    project,
    `WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < ${count * 4}) INSERT INTO random(b) SELECT randomblob(262144) FROM n`,
  );
}

/** Keys of all objects of a project's backups. */
export async function objects(project: string): Promise<string[]> {
  const { objects: found } = await env.BACKUPS.list({ prefix: `${project}/` });
  return found.map(({ key }) => key);
}

/** The freeze of a backup's source, and the scratch database. Both are null once the backup has ended. */
export const resourcesOf = async (project: string, job: string): Promise<unknown> => ({
  frozen: (await objectOf(project).state()).frozen,
  scratch: (await objectOf(`scratch:${job}`).state()).createdAt,
});

export const RELEASED = { frozen: null, scratch: null };

export const partsOf = async (backup: string): Promise<Record<string, unknown>[]> =>
  rows("SELECT moment, number FROM backup_parts WHERE backup_id = ? ORDER BY moment, number", backup);

interface ProjectEvent {
  readonly type: string;
  readonly data: Record<string, unknown>;
}

/** Events of a project, oldest first. */
export async function eventsOf(project: string): Promise<ProjectEvent[]> {
  const { events } = right(await get<{ events: ProjectEvent[] }>(`/api/projects/${project}/events`));
  return events.map(({ type, data }) => ({ type, data })).toReversed();
}

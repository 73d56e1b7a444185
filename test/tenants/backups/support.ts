/** Backups through the public door, with jobs whose services misbehave on purpose. */
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

export const start = async (project: string, body: Record<string, unknown> = {}): Promise<Backup> =>
  right(await post<Backup>(`/api/projects/${project}/backups`, body));

export const readBackup = async (project: string, id: string): Promise<Backup> =>
  right(await get<Backup>(`/api/projects/${project}/backups/${id}`));

/** A whole backup, from the request to its end. */
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

/** Of a file of one part. (workerd's own stream takes no second member; test/e2e/backups.ts reads files of many.) */
export const unpacked = async (bytes: Uint8Array<ArrayBuffer>): Promise<string> => gunzip(bytes);

export const hashOf = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

type BackupJob = "export_backup" | "restore_backup" | "provision_project";
type Handler = (payload: unknown, job: JobContext) => Promise<JobExecutionResult>;
const handlers = HANDLERS as unknown as Record<BackupJob, Handler>;
const REAL = { ...handlers };

/** Runs before each try of each step; may throw, or give other services. */
export type Meddle = (step: string, nth: number, deps: Deps, attempt: number) => Promise<Deps | void> | Deps | void;

/** The job's own code, whose steps somebody meddles with; `after` happens once the step's work is done, and may still fail it. */
export function meddle(
  before: Meddle,
  after: Meddle = () => undefined,
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

/** Services with another bucket: what stands in `other`, and all else as it is. */
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

/** `count` random megabytes, which nothing makes smaller; a part of a backup holds two. */
export async function fill(project: string, count: number): Promise<void> {
  await run(project, "CREATE TABLE IF NOT EXISTS random(id INTEGER PRIMARY KEY, b BLOB)");
  await run(
    project,
    `WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < ${count * 4}) INSERT INTO random(b) SELECT randomblob(262144) FROM n`,
  );
}

/** Every object of a project's backups, by key. */
export async function objects(project: string): Promise<string[]> {
  const { objects: found } = await env.BACKUPS.list({ prefix: `${project}/` });
  return found.map(({ key }) => key);
}

/** What is left of a backup's freeze and of its scratch: nothing, once it is through. */
export const leftBehind = async (project: string, job: string): Promise<unknown> => ({
  frozen: (await objectOf(project).state()).frozen,
  scratch: (await objectOf(`scratch:${job}`).state()).createdAt,
});

export const NOTHING_LEFT = { frozen: null, scratch: null };

export const partsOf = async (backup: string): Promise<Record<string, unknown>[]> =>
  rows("SELECT moment, number FROM backup_parts WHERE backup_id = ? ORDER BY moment, number", backup);

interface Told {
  readonly type: string;
  readonly data: Record<string, unknown>;
}

/** What a project is told of backups, the oldest first. */
export async function toldOf(project: string): Promise<Told[]> {
  const { events } = right(await get<{ events: Told[] }>(`/api/projects/${project}/events`));
  return events.map(({ type, data }) => ({ type, data })).toReversed();
}

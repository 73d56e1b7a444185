/** A project that is not all there yet: how far its creation has come, and what its database is being filled from. */
import type { PropsWithChildren } from "hono/jsx";
import { provisioningJson } from "../../tenants/provisioning/status.ts";
import type { ProjectView } from "../../store/projects/projects.ts";
import type { RestoreRow } from "../../store/backups/restores.ts";
import { Mark, State } from "../parts.tsx";
import { Actor } from "../projects/history.tsx";

interface ProjectMakingProps {
  readonly project: ProjectView;
  /** null: it was made empty. */
  readonly restore: RestoreRow | null;
}

const SAID = {
  pending: "It is being made: its job has not begun yet",
  running: "It is being made",
  failed: "It could not be made: what was done is undone, and then it is gone",
} as const;

export function ProjectMaking({ project, restore }: ProjectMakingProps) {
  const { status, job_id: job, steps, error } = provisioningJson(project);
  return (
    <>
      {status === "done" ? null : (
        <Notice failed={status === "failed"}>
          <div>
            <p>
              <strong>{SAID[status]}.</strong> {status === "failed" ? (error ?? "") : "Until then its keys do not work."}{" "}
              {job === null ? null : <Actor name={job} />}
            </p>
            <ol class="inline">
              {steps.map(({ step, status: stands }) => (
                <li>
                  {step} <State name={stands} />
                </li>
              ))}
            </ol>
          </div>
        </Notice>
      )}
      {restore === null || restore.status === "completed" ? null : <Restoring restore={restore} />}
    </>
  );
}

function Restoring({ restore }: { readonly restore: RestoreRow }) {
  const failed = restore.status === "failed";
  return (
    <Notice failed={failed}>
      <p>
        <strong>{failed ? "Its database could not be restored." : "Its database is being restored."}</strong>{" "}
        {failed ? (restore.error ?? "") : "Nobody can write to it until it was compared."} <RestoredFrom restore={restore} />
      </p>
    </Notice>
  );
}

function Notice({ failed, children }: PropsWithChildren<{ readonly failed: boolean }>) {
  const level = failed ? "bad" : "info";
  return (
    <div class={`notice ${level}`}>
      <Mark level={level} />
      {children}
    </div>
  );
}

export function RestoredFrom({ restore: { source_project_id: from, backup_id, job_id } }: { readonly restore: RestoreRow }) {
  return (
    <>
      <code>{backup_id}</code> of <a href={`/projects/${from}#backups`}>{from}</a>, by <Actor name={job_id} />
    </>
  );
}

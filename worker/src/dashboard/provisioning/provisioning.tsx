/** Progress of the creation of a project and of the restore of its database. */
import type { PropsWithChildren } from "hono/jsx";
import { provisioningJson } from "../../tenants/provisioning/status.ts";
import type { ProjectView } from "../../store/projects/projects.ts";
import type { RestoreRow } from "../../store/backups/restores.ts";
import { Mark, State } from "../parts.tsx";
import { Actor } from "../projects/history.tsx";

interface CreationStatusProps {
  readonly project: ProjectView;
  /** null: created empty. */
  readonly restore: RestoreRow | null;
}

const STATUS_TEXT = {
  pending: "Creation is queued",
  running: "Creation in progress",
  failed: "Creation failed. Cleaning up, then the project will disappear",
} as const;

export function CreationStatus({ project, restore }: CreationStatusProps) {
  const { status, job_id: job, steps, error } = provisioningJson(project);
  return (
    <>
      {status === "done" ? null : (
        <Notice failed={status === "failed"}>
          <div>
            <p>
              <strong>{STATUS_TEXT[status]}.</strong> {status === "failed" ? (error ?? "") : "Its keys do not work yet."}{" "}
              {job === null ? null : <Actor name={job} />}
            </p>
            <ol class="inline">
              {steps.map(({ step, status: stepStatus }) => (
                <li>
                  {step} <State name={stepStatus} />
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
        <strong>{failed ? "Database restore failed." : "Database restore in progress."}</strong>{" "}
        {failed ? (restore.error ?? "") : "Writes are refused until the restore is verified."} <RestoredFrom restore={restore} />
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

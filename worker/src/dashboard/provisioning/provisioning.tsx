/** A project that is not all there yet: how far its creation has come, and what its database is being filled from. */
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
        <div class={`notice ${status === "failed" ? "bad" : "info"}`}>
          <Mark level={status === "failed" ? "bad" : "info"} />
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
        </div>
      )}
      {restore === null || restore.status === "completed" ? null : <Restoring restore={restore} />}
    </>
  );
}

function Restoring({ restore }: { readonly restore: RestoreRow }) {
  const failed = restore.status === "failed";
  return (
    <div class={`notice ${failed ? "bad" : "info"}`}>
      <Mark level={failed ? "bad" : "info"} />
      <p>
        <strong>{failed ? "Its database could not be restored." : "Its database is being restored."}</strong>{" "}
        {failed ? (restore.error ?? "") : "Nobody can write to it until it was compared."} <RestoredFrom restore={restore} />
      </p>
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

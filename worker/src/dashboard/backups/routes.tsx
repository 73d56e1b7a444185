/** Pages that create and download backups. */
import { Problem } from "../../errors.ts";
import { sendFile } from "../../http/file.ts";
import { createRouter } from "../../http/index.ts";
import { EXPORT_TYPES } from "../../store/backups/backups.ts";
import type { ExportType } from "../../store/backups/backups.ts";
import { getVerified, startBackup } from "../../tenants/backups/backups.ts";
import { downloadOf } from "../../tenants/backups/download.ts";
import { BY_ADMIN } from "../../tenants/changing.ts";
import { changeableProject } from "../../tenants/projects/projects.ts";
import { addConfirmation } from "../confirm.tsx";
import { pathParameter, signedIn } from "../guard.ts";

export const backupPages = createRouter();

const UUID = /^[0-9a-f-]{36}$/u;
const CONTENTS = { full: "Schema and rows", schema: "Schema only" } as const satisfies Record<ExportType, string>;

addConfirmation(backupPages, {
  path: "/projects/:id/backups/new",
  place: "/projects",
  dialog: async (c, { asked: requestKey = "", export_type: chosen = "full" }) => {
    const { id, name } = await changeableProject(c.get("deps"), pathParameter(c, "id"));
    return {
      name: "Back up",
      title: `Back up ${name} now?`,
      button: "Back up",
      back: `/projects/${id}#backups`,
      text: (
        <p>
          A job reads a consistent copy of the database of <code>{id}</code>. Writes are refused while it reads and can be retried. The job
          then restores the backup and compares it.
        </p>
      ),
      fields: (
        <>
          {/* Sending the same form twice creates one backup. */}
          <input type="hidden" name="asked" value={UUID.test(requestKey) ? requestKey : crypto.randomUUID()} />
          <fieldset>
            <legend>Contents</legend>
            {EXPORT_TYPES.map((type) => (
              <label>
                <input type="radio" name="export_type" value={type} checked={type === chosen} /> {CONTENTS[type]}
              </label>
            ))}
          </fieldset>
        </>
      ),
    };
  },
  act: async (c, { asked: requestKey = "", export_type: chosen }) => {
    const id = pathParameter(c, "id");
    const exportType = EXPORT_TYPES.find((type) => type === chosen);
    if (exportType === undefined) throw new Problem("invalid_request", `Contents: choose ${EXPORT_TYPES.join(" or ")}.`);
    const idempotencyKey = `dashboard:${UUID.test(requestKey) ? requestKey : crypto.randomUUID()}`;
    await startBackup(c.get("deps"), id, { exportType, idempotencyKey, requestId: c.get("requestId") }, BY_ADMIN);
    return `/projects/${id}#backups`;
  },
});

backupPages.get(
  "/projects/:id/backups/:backup_id/download",
  signedIn(async (c) => {
    const deps = c.get("deps");
    const backup = await getVerified(deps, pathParameter(c, "id"), pathParameter(c, "backup_id"));
    return sendFile(c, await downloadOf(deps, backup), "application/gzip");
  }),
);

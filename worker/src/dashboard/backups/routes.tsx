/** Backups for operators: asked for, and taken home. */
import { Problem } from "../../errors.ts";
import { sendFile } from "../../http/file.ts";
import { createRouter } from "../../http/index.ts";
import type { AppContext } from "../../http/index.ts";
import { EXPORT_TYPES } from "../../store/backups/backups.ts";
import { getVerified, startBackup } from "../../tenants/backups/backups.ts";
import { downloadOf } from "../../tenants/backups/download.ts";
import { BY_ADMIN } from "../../tenants/changing.ts";
import { changeableProject, getProject } from "../../tenants/projects/projects.ts";
import { pathParameter, signedIn } from "../guard.ts";
import { sendPage } from "../page.tsx";
import { BackupFields } from "./form.tsx";
import { ConfirmPage } from "../confirm.tsx";
import { sessionForm } from "../session.ts";
import type { Session } from "../session.ts";

export const backupPages = createRouter();

/** A form that was not right: what was chosen stays. */
interface Tried {
  readonly asked: string;
  readonly chosen: string;
  readonly failure: string | null;
}

async function ask(c: AppContext, session: Session, { asked, chosen, failure }: Tried): Promise<Response> {
  const project = await getProject(c.get("deps"), pathParameter(c, "id"));
  const content = (
    <ConfirmPage
      session={session}
      title={`Back up ${project.name} now?`}
      action={`/projects/${project.id}/backups/new`}
      button="Back up"
      back={`/projects/${project.id}#backups`}
      failure={failure}
      fields={<BackupFields asked={asked} chosen={chosen} />}
    >
      <p>
        A job reads the database of <code>{project.id}</code> as it stands at one moment. While it is read, writes to it are refused and may
        be tried again; then what was stored is restored and compared.
      </p>
    </ConfirmPage>
  );
  return sendPage(c, { title: "Back up", session, place: "/projects", status: failure === null ? 200 : 400 }, content);
}

const UUID = /^[0-9a-f-]{36}$/u;

backupPages.get(
  "/projects/:id/backups/new",
  signedIn(async (c, session) => {
    await changeableProject(c.get("deps"), pathParameter(c, "id"));
    return ask(c, session, { asked: crypto.randomUUID(), chosen: "full", failure: null });
  }),
);

backupPages.post(
  "/projects/:id/backups/new",
  signedIn(async (c, session) => {
    const { asked = "", export_type: chosen = "" } = await sessionForm(c, session);
    const id = pathParameter(c, "id");
    const exportType = EXPORT_TYPES.find((type) => type === chosen);
    const again = { asked: UUID.test(asked) ? asked : crypto.randomUUID(), chosen };
    if (exportType === undefined) return ask(c, session, { ...again, failure: `Choose what it holds: ${EXPORT_TYPES.join(" or ")}.` });
    try {
      const idempotencyKey = `dashboard:${again.asked}`;
      await startBackup(c.get("deps"), id, { exportType, idempotencyKey, requestId: c.get("requestId") }, BY_ADMIN);
    } catch (error) {
      if (error instanceof Problem && error.code === "conflict") return ask(c, session, { ...again, failure: error.detail });
      throw error;
    }
    return c.redirect(`/projects/${id}#backups`, 303);
  }),
);

backupPages.get(
  "/projects/:id/backups/:backup_id/download",
  signedIn(async (c) => {
    const deps = c.get("deps");
    const backup = await getVerified(deps, pathParameter(c, "id"), pathParameter(c, "backup_id"));
    return sendFile(c, await downloadOf(deps, backup), "application/gzip");
  }),
);

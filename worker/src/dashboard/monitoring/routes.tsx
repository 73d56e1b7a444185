/** What monitoring systems reported and the audit log, for operators. */
import { createRouter } from "../../http/index.ts";
import { page, seqCursor, seqKey } from "../../http/paging.ts";
import { listAudit } from "../../store/changes.ts";
import { SIGNAL_SOURCES, listSignals } from "../../store/monitoring/signals.ts";
import { REFRESH_SECONDS, chosenOf, signedIn, soughtText } from "../guard.ts";
import { sendPage } from "../page.tsx";
import { AuditPage } from "./audit.tsx";
import { SignalsPage } from "./signals.tsx";

const SHOWN = 50;

export const monitoringPages = createRouter();

monitoringPages.get(
  "/signals",
  signedIn(async (c, session) => {
    const { db, clock } = c.get("deps");
    const query = { project: soughtText(c, "project", 64), source: chosenOf(c, "source", SIGNAL_SOURCES) };
    const before = seqCursor(c.req.query("cursor"));
    const rows = await listSignals(db, { projectId: query.project || null, source: query.source, before, limit: SHOWN + 1 });
    const list = { ...page(rows, SHOWN, seqKey), query, isFirst: before === null, now: clock() };
    return sendPage(c, { title: "Signals", session, place: "/signals", refresh: REFRESH_SECONDS }, <SignalsPage page={list} />);
  }),
);

monitoringPages.get(
  "/audit",
  signedIn(async (c, session) => {
    const { db, clock } = c.get("deps");
    const query = { project: soughtText(c, "project", 64), subject: soughtText(c, "subject", 200) };
    const before = seqCursor(c.req.query("cursor"));
    const rows = await listAudit(db, { projectId: query.project || null, subject: query.subject || null, before, limit: SHOWN + 1 });
    const list = { ...page(rows, SHOWN, seqKey), query, isFirst: before === null, now: clock() };
    return sendPage(c, { title: "Audit", session, place: "/audit", refresh: REFRESH_SECONDS }, <AuditPage page={list} />);
  }),
);

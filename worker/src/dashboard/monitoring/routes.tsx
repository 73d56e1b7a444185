/** Pages of the signals and the audit log. */
import { createRouter } from "../../http/index.ts";
import { page, seqCursor, seqKey } from "../../http/paging.ts";
import { listAudit } from "../../store/changes.ts";
import { SIGNAL_SOURCES, listSignals } from "../../store/monitoring/signals.ts";
import { REFRESH_SECONDS, choiceParameter, signedIn, searchParameter } from "../guard.ts";
import { sendPage } from "../page.tsx";
import { AuditPage } from "./audit.tsx";
import { SignalsPage } from "./signals.tsx";

const PAGE_SIZE = 50;

export const monitoringPages = createRouter();

monitoringPages.get(
  "/signals",
  signedIn(async (c, session) => {
    const { db, clock } = c.get("deps");
    const query = { project: searchParameter(c, "project", 64), source: choiceParameter(c, "source", SIGNAL_SOURCES) };
    const before = seqCursor(c.req.query("cursor"));
    const rows = await listSignals(db, { projectId: query.project || null, source: query.source, before, limit: PAGE_SIZE + 1 });
    const list = { ...page(rows, PAGE_SIZE, seqKey), query, isFirst: before === null, now: clock() };
    return sendPage(c, { title: "Signals", session, place: "/signals", refresh: REFRESH_SECONDS }, <SignalsPage page={list} />);
  }),
);

monitoringPages.get(
  "/audit",
  signedIn(async (c, session) => {
    const { db, clock } = c.get("deps");
    const query = { project: searchParameter(c, "project", 64), subject: searchParameter(c, "subject", 200) };
    const before = seqCursor(c.req.query("cursor"));
    const rows = await listAudit(db, { projectId: query.project || null, subject: query.subject || null, before, limit: PAGE_SIZE + 1 });
    const list = { ...page(rows, PAGE_SIZE, seqKey), query, isFirst: before === null, now: clock() };
    return sendPage(c, { title: "Audit", session, place: "/audit", refresh: REFRESH_SECONDS }, <AuditPage page={list} />);
  }),
);

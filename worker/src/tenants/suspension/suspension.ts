/** Manual suspension and reactivation of projects, and changes of caps, which may reactivate them. */
import { Problem } from "../../errors.ts";
import type { Deps } from "../../deps.ts";
import { dayOf } from "../../lib/time.ts";
import { changeCaps } from "../../store/limits/caps.ts";
import { CAP_TYPES } from "../../store/limits/meters.ts";
import type { ProjectView } from "../../store/projects/projects.ts";
import { lift, suspend } from "../../store/suspension/suspensions.ts";
import { CAPS } from "../limits/caps.ts";
import type { SomeCaps } from "../limits/caps.ts";
import { changing, newOperation } from "../changing.ts";
import type { Actor } from "../changing.ts";
import { capValues, changeableProject, getProject, projectSubject } from "../projects/projects.ts";
import { THRESHOLDS } from "../limits/thresholds.ts";

type Store = Pick<Deps, "db" | "clock">;

/** The reason for a manual suspension. */
const BY_HAND = "admin";

const reasonsOf = ({ suspensions }: ProjectView): string[] => suspensions.map(({ reason }) => reason);

/** Takes effect with the project's next request. Idempotent: the first detail is kept. */
export async function suspendProject(store: Store, id: string, detail: string, actor: Actor): Promise<ProjectView> {
  const { db, clock } = store;
  await changing(async () => {
    const seen = await changeableProject(store, id);
    if (seen.lifecycle === "ARCHIVED")
      throw new Problem("conflict", `The project ${JSON.stringify(id)} is archived and cannot be suspended.`);
    if (reasonsOf(seen).includes(BY_HAND)) return true;
    const before = { reasons: reasonsOf(seen) };
    const after = { reasons: [...reasonsOf(seen), BY_HAND], detail };
    const note = { action: "project.suspend", subject: projectSubject(id), projectId: id, before, after };
    const row = { reason: BY_HAND, capType: null, detail, until: null };
    return (await suspend(db, seen, row, newOperation(actor, clock()), note)) || null;
  });
  return getProject(store, id);
}

/**
 * Lifts the given reasons, or all. Idempotent. The next sweep suspends a project again that is still over a cap, unless the cap is raised.
 */
export async function reactivateProject(
  store: Store,
  id: string,
  { detail, reasons }: { readonly detail: string; readonly reasons: readonly string[] | null },
  actor: Actor,
): Promise<ProjectView> {
  const { db, clock } = store;
  await changing(async () => {
    const seen = await changeableProject(store, id);
    const open = reasonsOf(seen);
    const lifted = open.filter((reason) => reasons === null || reasons.includes(reason));
    if (lifted.length === 0) return true;
    const after = { reasons: open.filter((reason) => !lifted.includes(reason)), detail };
    const note = { action: "project.reactivate", subject: projectSubject(id), projectId: id, before: { reasons: open }, after };
    return (await lift(db, seen, lifted, newOperation(actor, clock()), note)) || null;
  });
  return getProject(store, id);
}

/** Sets some caps. A raised cap lifts the suspension that it resolves, in the same transaction. */
export async function setCaps(store: Store, id: string, caps: SomeCaps, actor: Actor): Promise<ProjectView> {
  const { db, clock } = store;
  await changing(async () => {
    const seen = await changeableProject(store, id);
    const before = capValues(seen);
    const types = CAP_TYPES.filter((type) => caps[type] !== undefined && caps[type] !== before[type]);
    if (types.length === 0) return true;
    const operation = newOperation(actor, clock());
    const pick = (from: SomeCaps) => Object.fromEntries(types.map((type) => [type, from[type] ?? null]));
    const note = { action: "project.caps", subject: projectSubject(id), projectId: id, before: pick(before), after: pick(caps) };
    const changes = types.map((type) => ({ type, value: caps[type] ?? null, gauge: CAPS[type].kind === "gauge" }));
    const context = { day: dayOf(operation.now), thresholds: THRESHOLDS };
    return (await changeCaps(db, seen, changes, context, operation, note)) || null;
  });
  return getProject(store, id);
}

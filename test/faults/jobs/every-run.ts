/** Selects the cells of jobs that `npm test` runs. No I/O. */
import { ALL_FAULTS } from "../matrix.ts";
import type { Fault, FlowTable, Row, Target, TargetCells } from "../matrix.ts";

const isStep = ({ part, at }: Target): boolean => part === "workflows" && at.startsWith("step ");

/** Faults of a target. At a step, the Worker stops at every attempt before the work or after it, or only once after it. */
export const faultsAt = (target: Target): readonly Fault[] => (isStep(target) ? ["before", "after", "restarts"] : ALL_FAULTS);

const outcome = (part: string, [, result, , , sent, charged, reserved, again, againCharged]: Row): string =>
  JSON.stringify([part, result, sent, charged, reserved, again, againCharged]);

/**
 * The faults that `npm test` runs at a target: one cell for each distinct outcome of a part in a flow. The other cells differ only in the fault,
 * the operation, the attempts and the time. `npm run test:soak` runs them all.
 */
export function inEveryRun({ targets }: FlowTable, target: TargetCells): readonly Fault[] {
  const first = new Map<string, Row>();
  for (const { part, cells } of targets) {
    for (const cell of cells) if (!first.has(outcome(part, cell))) first.set(outcome(part, cell), cell);
  }
  return target.cells.filter((cell) => first.get(outcome(target.part, cell)) === cell).map(([fault]) => fault);
}

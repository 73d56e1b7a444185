/** Which cells of jobs say something of their own. No I/O. */
import { ALL_FAULTS } from "../matrix.ts";
import type { Fault, FlowTable, Row, Target, TargetCells } from "../matrix.ts";

const isStep = ({ part, at }: Target): boolean => part === "workflows" && at.startsWith("step ");

/** Which faults there are at a place: of a step the Worker dies before its work, after it, or once. */
export const faultsAt = (target: Target): readonly Fault[] => (isStep(target) ? ["before", "after", "restarts"] : ALL_FAULTS);

const promised = (part: string, [, told, , , sent, charged, held, again, againCharged]: Row): string =>
  JSON.stringify([part, told, sent, charged, held, again, againCharged]);

/**
 * What `npm test` tries: each promise that no cell before it makes of the same part. The others differ from one of these in the fault, the
 * place, the tries and the time, and in nothing that they come to; `npm run test:soak` tries them all.
 */
export function inEveryRun({ targets }: FlowTable, target: TargetCells): readonly Fault[] {
  const first = new Map<string, Row>();
  for (const { part, cells } of targets) {
    for (const cell of cells) if (!first.has(promised(part, cell))) first.set(promised(part, cell), cell);
  }
  return target.cells.filter((cell) => first.get(promised(target.part, cell)) === cell).map(([fault]) => fault);
}

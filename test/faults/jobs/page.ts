/** The part of docs/reliability.md that speaks of jobs, from the tables that the tests assert. No I/O. */
import { FAULTS, PARTS } from "../matrix.ts";
import type { Fault, FlowTable, Part, Row, TargetCells } from "../matrix.ts";
import { JOB_FLOWS } from "./cells/index.ts";
import { inEveryRun } from "./every-run.ts";

type Table = (head: readonly string[], rows: readonly (readonly string[])[]) => string;

const ALL_PARTS = Object.keys(PARTS) as Part[];
const MINUTE_SECONDS = 60;
const HOUR_SECONDS = 60 * MINUTE_SECONDS;

/** Where every job meets a part as the first of the flows does. */
const AS_IN_ANY_JOB: ReadonlySet<Part> = new Set(["d1", "workflows", "collector"]);

/** Of a step only the Worker dies. */
const DEATHS: Partial<Record<Fault, string>> = {
  before: "the Worker dies before it",
  after: "dies after it",
  restarts: "dies once after it",
};

const faultOf = ({ part, at }: TargetCells, [fault]: Row): string =>
  part === "workflows" && at.startsWith("step ") ? (DEATHS[fault] ?? fault) : FAULTS[fault];

function lengthOf(seconds: number): string {
  if (seconds === 0) return "at once";
  if (seconds < 2 * MINUTE_SECONDS) return `${seconds} s`;
  return seconds < 2 * HOUR_SECONDS ? `${Math.round(seconds / MINUTE_SECONDS)} min` : `${Math.round(seconds / HOUR_SECONDS)} h`;
}

const triedBy = ([, , , tries]: Row): string => (tries <= 1 ? "no" : tries === 2 ? "once" : `${tries - 1} times`);

function callsOf([, , , , sent, charged, held, , again]: Row): string {
  const parts = [`${charged}`, ...(held > 0 ? [`${held} when its hold ends`] : []), ...(again > 0 ? [`${again} later`] : [])];
  return `${parts.join(", ")}${charged + held > sent ? `; ${sent} counted by the provider` : ""}`;
}

/** Faults that come to the same stand in one line. */
function linesOf(target: TargetCells, spends: boolean): string[][] {
  const lines = new Map<string, { readonly faults: string[]; readonly line: string[] }>();
  for (const cell of target.cells) {
    const [, told, waits, , , , , again] = cell;
    const line = [told, lengthOf(waits), triedBy(cell), ...(spends ? [callsOf(cell)] : []), again];
    const same = lines.get(line.join("|"));
    if (same) same.faults.push(faultOf(target, cell));
    else lines.set(line.join("|"), { faults: [faultOf(target, cell)], line });
  }
  return [...lines.values()].map(({ faults, line }, index) => [
    index === 0 ? `**${PARTS[target.part]}**, ${target.words}` : "",
    faults.join(", "),
    ...line,
  ]);
}

function sectionOf({ title, use, clean, cleanCharged, targets }: FlowTable, table: Table): string {
  const spends = cleanCharged > 0;
  const head = ["Where", "Fault", "Comes to", "After", "Tried again", ...(spends ? ["Charged"] : []), "Later"];
  const rows = targets.flatMap((target) => linesOf(target, spends));
  return [`### ${title}`, `${use} Without a fault: ${clean}.`, table(head, rows)].join("\n\n");
}

function overview(table: Table): string {
  const rows = JOB_FLOWS.map(({ title, targets, elsewhere = [] }) => [
    title,
    ...ALL_PARTS.map((part) => {
      const cells = targets.filter((target) => target.part === part).reduce((sum, target) => sum + target.cells.length, 0);
      if (cells > 0) return String(cells);
      return AS_IN_ANY_JOB.has(part) || elsewhere.some((place) => place.part === part) ? "↗" : "–";
    }),
  ]);
  return table(["Flow", ...ALL_PARTS.map((part) => PARTS[part])], rows);
}

export function jobSections(table: Table): string[] {
  const all = JOB_FLOWS.flatMap(({ targets }) => targets.flatMap(({ cells }) => cells)).length;
  const quick = JOB_FLOWS.flatMap((flow) => flow.targets.flatMap((target) => inEveryRun(flow, target))).length;
  return [
    "## Jobs",
    [
      `**${all} cells** of ${JOB_FLOWS.length} flows, in the real Workflows engine. A use begins a job and lasts until every job that it began has ended; the pauses of their retries and their sleeps take their time on the clock. A step is a place, too: the Worker dies before its work, after it, or once. Then comes *later*, what repairs: the next tick, the same asked for again, and housekeeping where something is left, which the cell then names.`,
      "In every cell it is checked besides that nothing is lost (no job without an end, no event that was not handed on, no delivery, backup, restore or project that nobody is at, no scratch database) and that nothing is done twice: one suspension, one warning, one period closed, one version of a key, one project with one key, one event of each, every delivery under one id.",
      `– below means that the flow never touches the part, ↗ that it does, and behaves there as the job of the first table or as in another flow's. \`npm test\` tries ${quick} of these cells: each that comes to something that no cell before it of the same flow and part comes to. \`npm run test:soak\` tries them all.`,
    ].join("\n\n"),
    overview(table),
    ...JOB_FLOWS.map((flow) => sectionOf(flow, table)),
  ];
}

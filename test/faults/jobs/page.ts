/** The sections about jobs in docs/reliability-matrix.md, from the tables that the tests assert. No I/O. */
import { FAULTS, PARTS } from "../matrix.ts";
import type { Fault, FlowTable, Part, Row, TargetCells } from "../matrix.ts";
import { JOB_FLOWS } from "./cells/index.ts";
import { inEveryRun } from "./every-run.ts";

type Table = (head: readonly string[], rows: readonly (readonly string[])[]) => string;

const ALL_PARTS = Object.keys(PARTS) as Part[];
const MINUTE_SECONDS = 60;
const HOUR_SECONDS = 60 * MINUTE_SECONDS;

/** Parts that every job uses in the same way. Only the first flow of the page shows their cells. */
const SHARED_PARTS: ReadonlySet<Part> = new Set(["d1", "workflows", "collector"]);

/** At a step only the Worker fails. */
const STEP_FAULTS: Partial<Record<Fault, string>> = {
  before: "the Worker stops before it",
  after: "stops after it",
  restarts: "stops once after it",
};

const faultOf = ({ part, at }: TargetCells, [fault]: Row): string =>
  part === "workflows" && at.startsWith("step ") ? (STEP_FAULTS[fault] ?? fault) : FAULTS[fault];

function duration(seconds: number): string {
  if (seconds < 2 * MINUTE_SECONDS) return `${seconds} s`;
  return seconds < 2 * HOUR_SECONDS ? `${Math.round(seconds / MINUTE_SECONDS)} min` : `${Math.round(seconds / HOUR_SECONDS)} h`;
}

function callsOf([, , , , sent, charged, reserved, , again]: Row): string {
  const parts = [`${charged}`, ...(reserved > 0 ? [`${reserved} at expiry`] : []), ...(again > 0 ? [`${again} later`] : [])];
  return `${parts.join(", ")}${charged + reserved > sent ? ` (provider counted ${sent})` : ""}`;
}

/** Faults with the same outcome share a line. */
function linesOf(target: TargetCells, spends: boolean): string[][] {
  const lines = new Map<string, { readonly faults: string[]; readonly line: string[] }>();
  for (const cell of target.cells) {
    const [, result, seconds, attempts, , , , again] = cell;
    const line = [result, duration(seconds), String(Math.max(1, attempts)), ...(spends ? [callsOf(cell)] : []), again];
    const same = lines.get(line.join("|"));
    if (same) same.faults.push(faultOf(target, cell));
    else lines.set(line.join("|"), { faults: [faultOf(target, cell)], line });
  }
  return [...lines.values()].map(({ faults, line }, index) => [
    index === 0 ? `**${PARTS[target.part]}**: ${target.operation}` : "",
    faults.join(", "),
    ...line,
  ]);
}

function sectionOf({ title, use, clean, cleanCharged, targets }: FlowTable, table: Table): string {
  const spends = cleanCharged > 0;
  const head = ["Operation", "Fault", "Result", "After", "Attempts", ...(spends ? ["Calls charged"] : []), "Later"];
  const rows = targets.flatMap((target) => linesOf(target, spends));
  return [`### ${title}`, `${use} Without a fault: ${clean}.`, table(head, rows)].join("\n\n");
}

function overview(table: Table): string {
  const rows = JOB_FLOWS.map(({ title, targets, covered = [] }) => [
    title,
    ...ALL_PARTS.map((part) => {
      const cells = targets.filter((target) => target.part === part).reduce((sum, target) => sum + target.cells.length, 0);
      if (cells > 0) return String(cells);
      return SHARED_PARTS.has(part) || covered.some((place) => place.part === part) ? "↗" : "–";
    }),
  ]);
  return table(["Flow", ...ALL_PARTS.map((part) => PARTS[part])], rows);
}

/** Cells of all job flows, and those that `npm test` runs. */
export function jobCells(): { readonly all: number; readonly quick: number } {
  const all = JOB_FLOWS.flatMap(({ targets }) => targets.flatMap(({ cells }) => cells)).length;
  const quick = JOB_FLOWS.flatMap((flow) => flow.targets.flatMap((target) => inEveryRun(flow, target))).length;
  return { all, quick };
}

export function jobSections(table: Table): string[] {
  const { all, quick } = jobCells();
  return [
    "## Jobs",
    [
      `**${all} cells** of ${JOB_FLOWS.length} flows run in the real Workflows engine. A use starts a job and waits until every job that it started has ended. Pauses between attempts and sleeps count as time. Each step of a job is an operation too: the Worker stops before the work, after it, or once after it.`,
      "*Attempts* counts the attempts at the faulty operation. *Later* is the result after the repair: the next tick or the same request again. Housekeeping runs too if something is unfinished. The cell then names it in parentheses. A scratch is a temporary database that verifies a backup.",
      "Every cell also checks that nothing is lost: each job has ended, each event was dispatched, and each delivery, backup, restore and project is finished. No scratch database remains. It also checks that nothing is done twice. Examples: one suspension, one warning, one closed period, one key version and one event of each kind.",
      `A dash (–) means that the flow never uses the part. An arrow (↗) means that it uses the part like another flow in this table. \`npm test\` runs ${quick} of these cells: one for each distinct outcome of a part in a flow. \`npm run test:soak\` runs them all.`,
    ].join("\n\n"),
    overview(table),
    ...JOB_FLOWS.map((flow) => sectionOf(flow, table)),
  ];
}

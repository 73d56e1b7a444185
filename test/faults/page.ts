/** docs/reliability-matrix.md and the figures in docs/reliability.md, from the tables that the tests assert. No I/O. */
import { fairnessQuote, fairnessSection } from "../quota/fairness.ts";
import { FLOWS } from "./cells/index.ts";
import { MODEL, STORM } from "./figures.ts";
import { JOB_FLOWS } from "./jobs/cells/index.ts";
import { jobCells, jobSections } from "./jobs/page.ts";
import { FAULTS, PARTS, RETRY_AFTER_SECONDS, SLOW_SECONDS } from "./matrix.ts";
import type { FlowTable, Part, Row, TargetCells } from "./matrix.ts";

const ALL_PARTS = Object.keys(PARTS) as Part[];
const grouped = (value: number): string => value.toLocaleString("en-US");
const cellsIn = ({ targets }: FlowTable): number => targets.reduce((sum, { cells }) => sum + cells.length, 0);
const calls = (count: number): string => `${count} call${count === 1 ? "" : "s"}`;
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`).join("\n");

/** Anchor of a heading, as GitHub derives it. */
const anchor = (title: string): string =>
  title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} -]/gu, "")
    .replaceAll(" ", "-");
const linkTo = ({ title }: FlowTable): string => `[${title}](#${anchor(title)})`;
const flowNamed = (name: string): FlowTable => {
  const flow = FLOWS.find((each) => each.name === name);
  if (flow === undefined) throw new Error(`No flow is named ${name}`);
  return flow;
};

/** Calls that the ledger charges, now and when the reservation expires. */
function chargeOf([, , , , sent, charged, reserved]: Row): string {
  if (sent === 0 && charged === 0 && reserved === 0) return "none, none sent";
  const changes = [
    ...(charged > 0 ? [calls(charged)] : []),
    ...(charged < 0 ? [`${calls(-charged)} fewer`] : []),
    ...(reserved > 0 ? [`${calls(reserved)} at expiry`] : []),
    ...(reserved < 0 ? [charged > 0 ? "the reserved one" : `${calls(-reserved)} released`] : []),
  ];
  return `${changes.join(", ")}${charged + reserved > sent ? ` (provider counted ${sent})` : ""}`;
}

/** Number of attempts at the operation without retries. A slow answer causes no retry. */
const attemptsWithoutRetry = (cells: readonly Row[]): number => cells.find(([fault]) => fault === "slow")?.[3] ?? 1;

function retriesOf([, , , attempts]: Row, expected: number): string {
  const retries = attempts - expected;
  if (retries <= 0) return "no";
  return retries === 1 ? "once" : `${retries} times`;
}

function resultAgain([, , , , , , , again, againCharged]: Row): string {
  if (againCharged === 0) return again;
  return againCharged > 0 ? `${again}, ${calls(againCharged)}` : `${again}, ${calls(-againCharged)} fewer`;
}

/** Faults with the same outcome share a line. */
function linesOf({ part, operation, cells }: TargetCells, isFree: boolean): string[][] {
  const lines = new Map<string, { readonly faults: string[]; readonly line: string[] }>();
  for (const cell of cells) {
    const [, result, seconds] = cell;
    const line = [
      result,
      `${seconds} s`,
      ...(isFree ? [] : [chargeOf(cell)]),
      retriesOf(cell, attemptsWithoutRetry(cells)),
      resultAgain(cell),
    ];
    const same = lines.get(line.join("|"));
    if (same) same.faults.push(FAULTS[cell[0]]);
    else lines.set(line.join("|"), { faults: [FAULTS[cell[0]]], line });
  }
  return [...lines.values()].map(({ faults, line }, index) => [
    index === 0 ? `**${PARTS[part]}**: ${operation}` : "",
    faults.join(", "),
    ...line,
  ]);
}

function sectionOf(flow: FlowTable): string {
  const { title, use, clean, cleanCharged, targets, covered = [] } = flow;
  const isFree = targets.every(({ cells }) =>
    cells.every(([, , , , sent, charged, reserved, , again]) => [sent, charged, reserved, again].every((each) => each === 0)),
  );
  const price = isFree ? "It never costs a call." : cleanCharged > 0 ? `It costs ${calls(cleanCharged)}.` : "";
  const others = covered.map(({ part, flow: name }) => `${PARTS[part]} in ${linkTo(flowNamed(name))}`);
  const links = [...new Set(others)].join(", ");
  const head = ["Operation", "Fault", "Result", "After", ...(isFree ? [] : ["Charged"]), "Retried", "Same request without the fault"];
  return [
    `### ${title}`,
    [use, `Without a fault: ${clean}.`, price, links === "" ? "" : `Other operations: ${links}.`].filter((text) => text !== "").join(" "),
    table(
      head,
      targets.flatMap((target) => linesOf(target, isFree)),
    ),
  ].join("\n\n");
}

/** Number of cells of each flow at each part. */
function overview(): string {
  const rows = FLOWS.map((flow) => [
    linkTo(flow),
    ...ALL_PARTS.map((part) => {
      const cells = flow.targets.filter((target) => target.part === part).reduce((sum, target) => sum + target.cells.length, 0);
      const isCovered = (flow.covered ?? []).some((place) => place.part === part);
      if (part === "collector" && flow.traced === false) return "off";
      return cells > 0 ? String(cells) : isCovered ? "↗" : "–";
    }),
  ]);
  return table(["Flow", ...ALL_PARTS.map((part) => PARTS[part])], rows);
}

/** Numbers of the matrix that docs/reliability.md quotes. */
function totals() {
  const requests = FLOWS.reduce((sum, flow) => sum + cellsIn(flow), 0);
  const places = [...FLOWS, ...JOB_FLOWS].reduce((sum, { targets }) => sum + targets.length, 0);
  const jobs = jobCells();
  return { requests, jobs, all: requests + jobs.all, places };
}

const FAIRNESS = /(<!-- fairness: written by npm run reliability -->\n)[\s\S]*?(<!-- end of fairness -->)/u;
const BLOCK = /(<!-- figures: written by npm run reliability -->\n)[\s\S]*?(<!-- end of figures -->)/u;

/** docs/reliability.md with the marked block of figures rewritten. The other text is written by hand. */
export function withFigures(text: string): string {
  if (!FAIRNESS.test(text)) throw new Error("docs/reliability.md has no marked block about fairness");
  if (!BLOCK.test(text)) throw new Error("docs/reliability.md has no marked block of figures");
  const { requests, jobs, all, places } = totals();
  const matrix = [
    ["cells in total", all],
    ["operations that fail", places],
    ["cells of requests", requests],
    ["cells of jobs", jobs.all],
    ["cells of jobs in `npm test`", jobs.quick],
  ] as const;
  const rows = [
    ...matrix.map(([label, value], index) => [index === 0 ? "Fault matrix" : "", label, grouped(value)]),
    ...[STORM, MODEL].flatMap(({ title, command, on, figures }) => [
      [`${title}, ${on}`, "command", `\`${command}\``],
      ...figures.map(({ label, value }) => ["", label, grouped(value)]),
    ]),
  ];
  const withFairness = text.replace(FAIRNESS, (_, begin: string, end: string) => `${begin}${fairnessQuote()}\n${end}`);
  return withFairness.replace(BLOCK, (_, begin: string, end: string) => `${begin}${table(["test", "figure", "value"], rows)}\n${end}`);
}

export function matrixPage(): string {
  const { requests, places, all } = totals();
  return `${[
    "# Reliability matrix",
    "<!-- Written by `npm run reliability` from test/faults. Change it there. -->",
    `This page lists the result of every tested failure: **${grouped(all)} cells** at ${places} operations. Each cell is a test. The page is generated from the data that those tests assert. [Reliability](reliability.md) summarizes the guarantees.`,
    "## Faults",
    [
      "The real Worker runs in workerd with its Durable Objects, KV and D1. A simulator replaces the provider. One operation of one part fails while a flow runs once. Then the fault ends, the same request is repeated, and two minutes pass.",
      [
        "- *Fails before the effect*: nothing happened, and the caller gets an exception.",
        "- *Fails after the effect*: it happened, and the caller gets an exception.",
        "- *Does not answer*: it happened, and no answer ever arrives. The clock moves only while nothing else runs, so the seconds on this page are exact.",
        `- *Answers slowly*: the answer arrives ${SLOW_SECONDS} s late.`,
        "- *Invalid answer*: it happened, and the answer has an unknown shape. Examples: an empty object from the ledger, rows of another table, HTML instead of JSON, an unreadable snapshot.",
        "- *Refuses for a minute*: the part is overloaded (429 over HTTP). It works again after a minute.",
        "- *Restarts*: the part goes down during the first operation. Stored data stays, memory and the answer are lost, and the next operation succeeds.",
        "- *The Worker stops*: it stops right after an operation. One flow tests this at five operations.",
      ].join("\n"),
      "The other faults last for the whole request, including the product's own retries. Every cell also checks three things: the sum over all callers equals the used calls, nothing stays reserved, and the same request works again. The test fails if a flow uses an operation that its table does not list.",
    ].join("\n\n"),
    "## Flows and parts",
    `${grouped(requests)} cells belong to requests. The table shows the cells of each flow at each part. A dash (–) means that the flow never uses the part. An arrow (↗) means that another flow's table shows the same operation. "Off" means that this test sends no traces.`,
    overview(),
    "## Requests",
    `*Result* is the caller's result, and *After* is the time until it arrives. *Charged* counts the provider's calls. *At expiry* means that the reservation is charged when it expires, within two minutes. *Retried* counts the product's own retries. Every 503 has \`Retry-After: ${RETRY_AFTER_SECONDS}\`, so the tables do not repeat it.`,
    ...FLOWS.map(sectionOf),
    ...jobSections(table),
    ...fairnessSection(table),
  ].join("\n\n")}\n`;
}

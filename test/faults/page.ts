/** docs/reliability.md, from the tables that the tests assert. No I/O. */
import { FLOWS } from "./cells/index.ts";
import { EXERCISES } from "./figures.ts";
import { jobSections } from "./jobs/page.ts";
import { ALL_FAULTS, FAULTS, PARTS, SLOW_SECONDS } from "./matrix.ts";
import type { FlowTable, Part, Row, TargetCells } from "./matrix.ts";

const ALL_PARTS = Object.keys(PARTS) as Part[];
const grouped = (value: number): string => value.toLocaleString("en-US");
const cellsIn = ({ targets }: FlowTable): number => targets.reduce((sum, { cells }) => sum + cells.length, 0);
const calls = (count: number): string => `${count} call${count === 1 ? "" : "s"}`;
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`).join("\n");

/** GitHub's own anchor of a heading. */
const anchor = (title: string): string =>
  title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} -]/gu, "")
    .replaceAll(" ", "-");
const linkTo = ({ title }: FlowTable): string => `[${title}](#${anchor(title)})`;
const flowNamed = (name: string): FlowTable => {
  const flow = FLOWS.find((each) => each.name === name);
  if (flow === undefined) throw new Error(`There is no flow ${name}`);
  return flow;
};

/** What the provider counted beside what the ledger charges, now and when the hold ends. */
function chargedBy([, , , , sent, charged, held]: Row): string {
  if (sent === 0 && charged === 0 && held === 0) return "nothing; nothing was sent";
  const changes = [
    ...(charged > 0 ? [calls(charged)] : []),
    ...(charged < 0 ? [`${calls(-charged)} fewer`] : []),
    ...(held > 0 ? [`${calls(held)} when its hold ends`] : []),
    ...(held < 0 ? [charged > 0 ? "the one that was held" : `${calls(-held)} given back`] : []),
  ];
  return `${changes.join(", ")}${charged + held > sent ? `; ${sent} counted by the provider` : ""}`;
}

/** How often the operation is asked where all goes well, if late: more is asking again. */
const usesOf = (cells: readonly Row[]): number => cells.find(([fault]) => fault === "slow")?.[3] ?? 1;

function retriedBy([, , , tries]: Row, uses: number): string {
  const retries = tries - uses;
  if (retries <= 0) return "no";
  return retries === 1 ? "once" : `${retries} times`;
}

function afterwards([, , , , , , , again, againCharged]: Row): string {
  if (againCharged === 0) return again;
  return againCharged > 0 ? `${again}, ${calls(againCharged)}` : `${again}, ${calls(-againCharged)} fewer`;
}

/** Faults that come to the same stand in one line. */
function linesOf({ part, words, cells }: TargetCells, isFree: boolean): string[][] {
  const lines = new Map<string, { readonly faults: string[]; readonly line: string[] }>();
  for (const cell of cells) {
    const [, told, waits] = cell;
    const line = [
      told,
      waits === 0 ? "at once" : `${waits} s`,
      ...(isFree ? [] : [chargedBy(cell)]),
      retriedBy(cell, usesOf(cells)),
      afterwards(cell),
    ];
    const same = lines.get(line.join("|"));
    if (same) same.faults.push(FAULTS[cell[0]]);
    else lines.set(line.join("|"), { faults: [FAULTS[cell[0]]], line });
  }
  return [...lines.values()].map(({ faults, line }, index) => [
    index === 0 ? `**${PARTS[part]}**, ${words}` : "",
    faults.join(", "),
    ...line,
  ]);
}

function sectionOf(flow: FlowTable): string {
  const { title, use, clean, cleanCharged, targets, elsewhere = [] } = flow;
  const isFree = targets.every(({ cells }) =>
    cells.every(([, , , , sent, charged, held, , again]) => [sent, charged, held, again].every((each) => each === 0)),
  );
  const price = isFree
    ? "It costs no call of the provider's, whatever fails."
    : cleanCharged > 0
      ? `It is charged ${calls(cleanCharged)}.`
      : "";
  const others = elsewhere.map(({ part, flow: name }) => ({ part: PARTS[part], name }));
  const named = [...new Set(others.map(({ part, name }) => `${part} as in ${linkTo(flowNamed(name))}`))].join(", ");
  const head = ["Where", "Fault", "Told", "After", ...(isFree ? [] : ["Charged"]), "Retried", "The same again, when the fault is gone"];
  return [
    `### ${title}`,
    [use, `Without a fault: ${clean}.`, price, named === "" ? "" : `At other places it meets ${named}.`]
      .filter((text) => text !== "")
      .join(" "),
    table(
      head,
      targets.flatMap((target) => linesOf(target, isFree)),
    ),
  ].join("\n\n");
}

/** How many cells each flow has at each part; – where it never meets it. */
function overview(): string {
  const rows = FLOWS.map((flow) => [
    linkTo(flow),
    ...ALL_PARTS.map((part) => {
      const cells = flow.targets.filter((target) => target.part === part).reduce((sum, target) => sum + target.cells.length, 0);
      const isElsewhere = (flow.elsewhere ?? []).some((place) => place.part === part);
      if (part === "collector" && flow.traced === false) return "off";
      return cells > 0 ? String(cells) : isElsewhere ? "↗" : "–";
    }),
  ]);
  return table(["Flow", ...ALL_PARTS.map((part) => PARTS[part])], rows);
}

function exercises(): string[] {
  if (EXERCISES.length === 0) return [];
  const sections = EXERCISES.map(({ title, about, command, on, figures }) => {
    const told = figures.map(({ what, value }) => `${grouped(value)} ${what}`).join(", ");
    return `- **${title}.** ${about} ${told} (\`${command}\`, ${on}).`;
  });
  return ["## Beside the matrix", sections.join("\n")];
}

export function page(): string {
  const cells = FLOWS.reduce((sum, flow) => sum + cellsIn(flow), 0);
  const met = ALL_PARTS.filter((part) => FLOWS.some(({ targets }) => targets.some((target) => target.part === part)));
  const places = FLOWS.reduce((sum, { targets }) => sum + targets.length, 0);
  return `${[
    "# Reliability",
    "<!-- Written by `npm run reliability` from test/faults. Change it there. -->",
    `What happens when a part of the system fails while it is used: **${grouped(cells)} cells** (${FLOWS.length} flows, ${met.length} parts at ${places} places, ${ALL_FAULTS.length} faults and the death of the Worker itself), each of them a test that runs with \`npm test\`. This page is written from the data that those tests assert; nothing on it stands there because somebody believes it.`,
    "## What is promised",
    [
      "- **Never overspend.** Calls that the provider counted are never more than calls that the ledger charged or holds, in no cell. What is ambiguous is charged: over-counting is accepted, under-counting is not.",
      "- **Nothing hangs for ever.** Whoever asks is answered, or told to come back. The product's own deadlines: the ledger 5 s, KV 2 s, Workflows 5 s, the provider 20 s (`ISBNDB_TIMEOUT_SECONDS`), its free count 3 s. For D1 it relies on the platform, which ends a query after 30 s; where an answer is worth more without the database, it waits 2 s or 5 s at most.",
      "- **Nothing is lost in silence, and nothing is held for ever.** What was paid for is told. A hold that nobody settled is charged when it ends, within two minutes. What a crash left between two steps, a later run finds.",
      "- **A failure is told as what it is.** 503 with `Retry-After` where coming back helps, 502 where the provider failed, with what was charged. Never a stack, never a guess.",
    ].join("\n"),
    "## How a cell is tested",
    [
      "The real Worker runs in workerd, with its Durable Objects, KV and D1, before a simulated provider. One operation of one part is spoiled while a flow is used once; then the fault is taken away, the same use is repeated, and two minutes pass. The faults:",
      [
        "- *throws before*: nothing happened, and whoever called sees an exception. *Throws after the effect*: it happened, and whoever called sees an exception.",
        "- *hangs*: it happened, and no answer ever comes. Time passes only while nothing else is under way, so that the seconds told here are exact.",
        `- *slow*: the answer comes ${SLOW_SECONDS} s late.`,
        "- *returns nonsense*: it happened, and the answer is of no known shape: an empty object of the ledger (as of another version of it), rows of another table, HTML instead of JSON, a snapshot that cannot be read.",
        "- *refuses for a minute*: the part is overloaded (429 over HTTP), and well again by itself a minute later.",
        "- *restarts*: it goes down in the middle of the first call. What it stored stays, what it remembered is gone, the answer is lost; the next call finds it well.",
        "- *the Worker dies*: in a flow of its own, at five points of the way.",
      ].join("\n"),
      "The others last for the whole of a use, tries of the product's own included. In every cell it is checked besides that the callers' sum is what is used, that nothing stays reserved, and that the same use works again. A place at which a use meets a part without standing in its table fails the test, so that a – below means: never touched.",
    ].join("\n\n"),
    ...exercises(),
    "## Flows and parts",
    "Cells of each flow at each part. – : the flow never touches it. ↗ : it does, and behaves there as in another flow's table. off: traces are off while this flow is tested; all requests send them by the same code.",
    overview(),
    "## Cell by cell",
    "*Told*: what whoever asked is told, and *after* how long. *Charged*: calls of the provider's; *when its hold ends* is at most two minutes later. *Retried*: whether the product asked the faulty operation again by itself.",
    ...FLOWS.map(sectionOf),
    ...jobSections(table),
  ].join("\n\n")}\n`;
}

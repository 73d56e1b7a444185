/** The harvest: targets, runs and failed targets. */
import type { HarvestRun, Stop, harvestOverview } from "../../store/library/harvest.ts";
import { formatCount, elapsed } from "../format.ts";
import { Card, Heading, State, Table, Time, TimeOrNone } from "../parts.tsx";

const STOPS: Readonly<Record<Stop, string>> = {
  nothing_due: "no due targets",
  enough_for_one_run: "limit per run reached",
  interrupted: "interrupted",
  out_of_time: "time limit reached",
  quota_exhausted: "today's calls used up",
  below_floor: "floor for interactive callers reached",
  pace: "rate limit reached",
  provider_failing: "provider failed",
  quota_unavailable: "ledger unreachable",
  catalog_full: "catalog full",
  error: "internal error",
};

const KINDS = { isbn: "ISBNs", author: "Authors" } as const;

interface HarvestPageProps {
  readonly overview: Awaited<ReturnType<typeof harvestOverview>>;
  readonly now: number;
}

export function HarvestPage({ overview: { counts, runs, failed }, now }: HarvestPageProps) {
  const countOf = (kind: keyof typeof KINDS, state: string): number =>
    counts.find((row) => row.kind === kind && row.state === state)?.targets ?? 0;
  return (
    <>
      <Heading title="Harvest" />
      <Card title="Targets" id="targets">
        <Table
          label="Targets"
          rows={counts.length === 0 ? [] : (["isbn", "author"] as const)}
          none={
            <>
              The queue is empty. Add ISBNs or authors with <code>POST /api/harvest/targets</code> (<a href="/docs">example</a>).
            </>
          }
          columns={[
            { name: "Kind", cell: (kind) => KINDS[kind] },
            { name: "Due", number: true, cell: (kind) => formatCount(countOf(kind, "due")) },
            { name: "Done", number: true, cell: (kind) => formatCount(countOf(kind, "done")) },
            { name: "Failed", number: true, cell: (kind) => formatCount(countOf(kind, "failed")) },
            {
              name: "Next due",
              cell: (kind) => (
                <TimeOrNone at={counts.find((row) => row.kind === kind && row.state === "due")?.next_due_at ?? null} now={now} />
              ),
            },
          ]}
        />
      </Card>
      <Card title="Runs" id="runs" aside={<span class="muted">latest first</span>}>
        <Runs rows={runs} now={now} />
      </Card>
      <Card title="Failed targets" id="failed">
        <Table
          label="Failed targets"
          rows={failed}
          none="No target failed."
          columns={[
            { name: "Target", cell: ({ name }) => name },
            { name: "Attempts", number: true, cell: ({ tries }) => String(tries) },
            { name: "Reason", cell: ({ reason }) => reason ?? "–" },
            { name: "When", cell: ({ updated_at: at }) => <Time at={at} now={now} /> },
          ]}
        />
      </Card>
    </>
  );
}

function Runs({ rows, now }: { readonly rows: readonly HarvestRun[]; readonly now: number }) {
  return (
    <Table
      label="Runs"
      rows={rows}
      keyOf={({ id }) => id}
      none="No runs yet. The harvest runs every 30 minutes."
      columns={[
        { name: "Started", cell: ({ started_at: at }) => <Time at={at} now={now} /> },
        {
          name: "Stopped",
          cell: ({ stopped, detail }) =>
            stopped === null ? (
              <State name="running" />
            ) : (
              <div class="wide">
                {STOPS[stopped]}
                {detail === null ? null : <span class="muted">: {detail}</span>}
              </div>
            ),
        },
        { name: "Targets", number: true, cell: ({ targets }) => formatCount(targets) },
        { name: "Calls", number: true, cell: ({ calls }) => formatCount(calls) },
        { name: "Books", number: true, cell: ({ found }) => formatCount(found) },
        { name: "Failed", number: true, cell: ({ failed }) => formatCount(failed) },
        { name: "Duration", number: true, cell: elapsed },
      ]}
    />
  );
}

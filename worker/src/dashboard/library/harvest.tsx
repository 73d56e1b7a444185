/** The harvest: what waits, what was done, and why each run stopped. */
import type { HarvestRun, Stop, harvestOverview } from "../../store/library/harvest.ts";
import { grouped, tookOf } from "../format.ts";
import { Card, Heading, State, Table, Time, TimeOrNone } from "../parts.tsx";

const STOPS: Readonly<Record<Stop, string>> = {
  nothing_due: "nothing was due any more",
  enough_for_one_run: "enough for one run",
  interrupted: "the Worker died",
  out_of_time: "its time was over",
  quota_exhausted: "the day's calls are used up",
  below_floor: "the rest is kept for interactive callers",
  pace: "too many requests at that moment",
  provider_failing: "the provider failed",
  quota_unavailable: "the ledger did not answer",
  error: "a fault of ours",
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
              Nothing is to be fetched. Add ISBNs or authors with <code>POST /api/harvest/targets</code>: <a href="/docs">the reference</a>{" "}
              has an example to send.
            </>
          }
          columns={[
            { name: "Kind", cell: (kind) => KINDS[kind] },
            { name: "Due", number: true, cell: (kind) => grouped(countOf(kind, "due")) },
            { name: "Done", number: true, cell: (kind) => grouped(countOf(kind, "done")) },
            { name: "Given up", number: true, cell: (kind) => grouped(countOf(kind, "failed")) },
            {
              name: "Next due",
              cell: (kind) => (
                <TimeOrNone at={counts.find((row) => row.kind === kind && row.state === "due")?.next_due_at ?? null} now={now} />
              ),
            },
          ]}
        />
      </Card>
      <Card title="Runs" id="runs" aside={<span class="muted">the latest first</span>}>
        <Runs rows={runs} now={now} />
      </Card>
      <Card title="Given up" id="given-up">
        <Table
          label="Given up"
          rows={failed}
          none="No target was given up."
          columns={[
            { name: "What", cell: ({ name }) => name },
            { name: "Tries", number: true, cell: ({ tries }) => String(tries) },
            { name: "Why", cell: ({ reason }) => reason ?? "–" },
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
      none="The harvest has not run yet; it does every 30 minutes."
      columns={[
        { name: "Began", cell: ({ started_at: at }) => <Time at={at} now={now} /> },
        {
          name: "Stopped because",
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
        { name: "Targets", number: true, cell: ({ targets }) => grouped(targets) },
        { name: "Calls", number: true, cell: ({ calls }) => grouped(calls) },
        { name: "Books", number: true, cell: ({ found }) => grouped(found) },
        { name: "Given up", number: true, cell: ({ failed }) => grouped(failed) },
        { name: "Took", number: true, cell: tookOf },
      ]}
    />
  );
}

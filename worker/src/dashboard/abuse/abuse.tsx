/** Abuse decisions about a project, with their evidence. */
import type { DetectionRow } from "../../store/abuse/abuse.ts";
import { patternName } from "../format.ts";
import { DECISION_WORDS } from "../outcomes.ts";
import { Card, Json, State, Table, Time } from "../parts.tsx";
import { Actor, More } from "../projects/history.tsx";
import type { Page } from "../projects/history.tsx";

interface ProjectAbuseProps {
  readonly id: string;
  readonly decisions: Page<DetectionRow>;
  readonly now: number;
}

export function ProjectAbuse({ id, decisions: { rows, next }, now }: ProjectAbuseProps) {
  const signals = <a href={`/signals?project=${id}`}>Signals</a>;
  return (
    <Card title="Abuse" id="decisions" aside={signals}>
      <Table
        label="Abuse"
        rows={rows}
        keyOf={({ run }) => run}
        none="No abuse was detected or reported."
        columns={[
          { name: "When", cell: ({ at }) => <Time at={at} now={now} /> },
          { name: "Pattern", cell: ({ pattern }) => patternName(pattern) },
          {
            name: "Decision",
            cell: ({ decision }) => (
              <div class="wide">
                <State name={decision} /> {DECISION_WORDS[decision]}
              </div>
            ),
          },
          { name: "Why", cell: (row) => <Why row={row} /> },
          { name: "Job", cell: ({ run }) => <Actor name={run} /> },
        ]}
      />
      <More id={id} list="decisions" next={next} />
    </Card>
  );
}

function Why({ row: { why, evidence, inputs } }: { readonly row: DetectionRow }) {
  return (
    <div class="wide">
      {why}
      <span class="muted"> ({evidence === "measured" ? "measured here" : "numbers from the request"})</span>
      <details>
        <summary>All numbers</summary>
        <Json value={JSON.parse(inputs)} />
      </details>
    </div>
  );
}

/** Audit log: who changed a value, with the old and the new value. */
import type { AuditRow } from "../../store/changes.ts";
import { describeValue } from "../../lib/describe-value.ts";
import { quantity } from "../format.ts";
import { Card, Filters, Heading, Paging, Table, Time, isFiltered } from "../parts.tsx";
import type { ListPage } from "../parts.tsx";

export type AuditQuery = Record<"project" | "subject", string>;

/** Longer lists of differences are folded. */
const UNFOLDED = 3;

export function AuditPage({ page }: { readonly page: ListPage<AuditRow, AuditQuery> }) {
  const { rows, query, now } = page;
  return (
    <>
      <Heading title="Audit" />
      <Filters action="/audit">
        <label for="project">Project</label>
        <input id="project" name="project" value={query.project} maxlength={64} />
        <label for="subject">Subject</label>
        <input id="subject" name="subject" value={query.subject} maxlength={200} placeholder="key:Q7hX2mPz4K" />
      </Filters>
      <Card title="Changes" id="changes" aside={<span class="muted">latest first</span>}>
        <Table
          label="Changes"
          rows={rows}
          keyOf={({ seq }) => String(seq)}
          none={isFiltered(query) ? "No change matches." : "No changes yet."}
          columns={[
            { name: "When", cell: ({ at }) => <Time at={at} now={now} /> },
            { name: "Who", cell: ({ actor }) => actor },
            { name: "Action", cell: ({ action }) => <code>{action}</code> },
            { name: "Subject", cell: (row) => <Subject row={row} /> },
            { name: "Change", cell: ({ before, after }) => <Changes before={before} after={after} /> },
          ]}
        />
        <Paging path="/audit" page={page} />
      </Card>
    </>
  );
}

function Subject({ row: { subject, project_id: project } }: { readonly row: AuditRow }) {
  if (project === null) return <>{subject}</>;
  return <a href={`/projects/${project}`}>{subject}</a>;
}

type Members = Readonly<Record<string, unknown>>;

const membersOf = (json: string): Members | null => {
  const value: unknown = JSON.parse(json);
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : null;
};

const text = (value: unknown): string => {
  if (value === undefined) return "–";
  if (Array.isArray(value))
    return value.length === 0 ? "none" : value.map((each) => (typeof each === "string" ? each : describeValue(each))).join(", ");
  if (typeof value === "string") return value === "" ? '""' : value;
  return typeof value === "object" && value !== null ? JSON.stringify(value).replaceAll(",", ", ") : describeValue(value);
};

/** Changed members, with their old and new values. */
export function differences(before: string, after: string): readonly (readonly [name: string, from: string | null, to: string])[] {
  const [old, now] = [membersOf(before), membersOf(after)];
  const names = [...new Set([...Object.keys(old ?? {}), ...Object.keys(now ?? {})])];
  return names
    .filter((name) => JSON.stringify(old?.[name]) !== JSON.stringify(now?.[name]))
    .map((name) => [name, old === null ? null : text(old[name]), text(now?.[name])]);
}

function Changes({ before, after }: Pick<AuditRow, "before" | "after">) {
  const all = differences(before, after);
  const list = (
    <dl class="changes">
      {all.map(([name, from, to]) => (
        <div>
          <dt>{name}</dt>
          <dd>
            {from === null ? null : (
              <>
                <del>{from}</del> <span aria-hidden="true">→</span>{" "}
              </>
            )}
            <ins>{to}</ins>
          </dd>
        </div>
      ))}
    </dl>
  );
  // A created subject has many values, which would hide other changes.
  if (all.length <= UNFOLDED) return list;
  return (
    <details>
      <summary>{quantity(all.length, "value")}</summary>
      {list}
    </details>
  );
}

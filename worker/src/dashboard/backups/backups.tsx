/** Backups of a project: status, contents and download. */
import type { BackupRow } from "../../store/backups/backups.ts";
import { isVerified, statusOf } from "../../store/backups/backups.ts";
import type { ProjectView } from "../../store/projects/projects.ts";
import { quantity, fileSize } from "../format.ts";
import { COPIES_WORDS } from "../outcomes.ts";
import { Card, None, State, Table, Time } from "../parts.tsx";
import { Actor, More } from "../projects/history.tsx";
import type { Page } from "../projects/history.tsx";

interface ProjectBackupsProps {
  readonly project: ProjectView;
  readonly backups: Page<BackupRow>;
  readonly now: number;
}

export function ProjectBackups({ project, backups: { rows, next }, now }: ProjectBackupsProps) {
  const path = `/projects/${project.id}/backups`;
  const action = project.lifecycle === "DELETED" ? null : <a href={`${path}/new`}>Back up now</a>;
  return (
    <Card title="Backups" id="backups" aside={action}>
      <Table
        label="Backups"
        rows={rows}
        keyOf={({ id }) => id}
        none="No backup yet."
        columns={[
          { name: "Taken", cell: (row) => <Time at={row.taken_at ?? row.created_at} now={now} /> },
          { name: "Status", cell: (row) => <Status row={row} /> },
          { name: "Type", cell: ({ export_type: type }) => type },
          { name: "Contents", cell: (row) => <Contents row={row} /> },
          { name: "Size", number: true, cell: ({ stored_bytes: bytes }) => (typeof bytes === "number" ? fileSize(bytes) : <None />) },
          { name: "Copies", cell: ({ copies }) => (copies ? COPIES_WORDS[copies] : <None />) },
          { name: "Job", cell: ({ job_id }) => <Actor name={job_id} /> },
          { name: "File", cell: (row) => <File row={row} /> },
        ]}
      />
      <More id={project.id} list="backups" next={next} />
    </Card>
  );
}

function Status({ row }: { readonly row: BackupRow }) {
  const { error } = row;
  return (
    <div class={error === null ? "" : "wide"}>
      <State name={statusOf(row)} />
      {error === null ? null : ` ${error}`}
    </div>
  );
}

function Contents({ row }: { readonly row: BackupRow }) {
  if (!isVerified(row)) return <None />;
  const size = `${quantity(row.row_count, "row")}, ${quantity(row.table_count, "table")}`;
  return <span class="whole">{row.export_type === "schema" ? `schema, version ${row.schema_version}` : size}</span>;
}

function File({ row }: { readonly row: BackupRow }) {
  if (!isVerified(row)) return <None />;
  return (
    <a href={`/projects/${row.project_id}/backups/${row.id}/download`} download>
      Download<span class="hidden"> {row.id}</span>
    </a>
  );
}

/** What a backup is to hold, asked before it begins. */
import { EXPORT_TYPES } from "../../store/backups/backups.ts";
import type { ExportType } from "../../store/backups/backups.ts";

const WORDS = { full: "Schema and rows", schema: "Schema only" } as const satisfies Record<ExportType, string>;

interface BackupFieldsProps {
  /** The same form sent twice is one backup. */
  readonly asked: string;
  readonly chosen: string;
}

export function BackupFields({ asked, chosen }: BackupFieldsProps) {
  return (
    <>
      <input type="hidden" name="asked" value={asked} />
      <fieldset>
        <legend>What it holds</legend>
        {EXPORT_TYPES.map((type) => (
          <label>
            <input type="radio" name="export_type" value={type} checked={type === chosen} /> {WORDS[type]}
          </label>
        ))}
      </fieldset>
    </>
  );
}

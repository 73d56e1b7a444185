/** Timeline of a job. Times are epoch milliseconds. No I/O. No clock. */
import type { AttemptRow } from "../store/jobs/attempts.ts";
import type { JobRow } from "../store/jobs/jobs.ts";

export interface TimelineEvent {
  readonly at: number;
  readonly event: string;
}

/** Events of a job, oldest first. */
export function timelineOf(row: JobRow, attempts: readonly AttemptRow[]): TimelineEvent[] {
  const events: (TimelineEvent | null)[] = [
    { at: row.created_at, event: `requested by ${row.requested_by}` },
    ...attempts.flatMap(({ step, attempt, outcome, started_at, ended_at }) => [
      started_at === null ? null : { at: started_at, event: `${step}: try ${attempt} began` },
      ended_at === null ? null : { at: ended_at, event: `${step}: try ${attempt} ${(outcome ?? "ended").replace("_", " ")}` },
    ]),
    row.ended_at === null ? null : { at: row.ended_at, event: row.status },
  ];
  // A stable sort keeps the order of events in the same millisecond.
  return events.filter((event) => event !== null).toSorted((a, b) => a.at - b.at);
}

/** The run before this one. null: this is the first run. */
export function retryOf({ run, root_id }: Pick<JobRow, "run" | "root_id">): string | null {
  if (run === 1) return null;
  return run === 2 ? root_id : `${root_id}-r${run - 1}`;
}

/** What became of a job, in the table's words. */

interface Ended {
  readonly status: string;
  readonly result: string | null;
  readonly error: string | null;
  readonly tries: number;
}

/** "completed: 1 suspended" of a job as the index knows it, or "failed by storage_unavailable". */
export function endOf(job: Ended | undefined, members: Readonly<Record<string, string>> = {}): string {
  if (job === undefined) return "no job";
  if (job.status === "failed")
    return `failed: ${(job.error ?? "")
      .replace(/: .*$/su, "")
      .replaceAll(/ ?"[^"]*"/gu, "")
      .replace(/\.$|, and .*|0\.01/gu, (part) => (part === "0.01" ? "5" : ""))}`;
  const result = Object(JSON.parse(job.result ?? "{}")) as Record<string, unknown>;
  const told = Object.entries(members).flatMap(([member, words]) => counted(result[member], words));
  return told.length === 0 ? job.status : `${job.status}: ${told.join(", ")}`;
}

const counted = (value: unknown, words: string): string[] => (typeof value === "number" && value > 0 ? [`${value} ${words}`] : []);

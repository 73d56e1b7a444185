/** Describes a job's result in the short form of the matrix. */

interface JobResult {
  readonly status: string;
  readonly result: string | null;
  readonly error: string | null;
}

/** An error that begins with a code or the name of a step, or the error of a step that the matrix stops. */
const CAUSE = /^(?:The (Worker died)|([a-z_]+): )/u;

/** "completed: 1 suspended" or "failed: storage_unavailable". */
export function jobResult(job: JobResult | undefined, members: Readonly<Record<string, string>> = {}): string {
  if (job === undefined) return "no job";
  if (job.status === "failed") {
    const [, stopped, code] = CAUSE.exec(job.error ?? "") ?? [];
    const cause = stopped ?? code;
    return cause === undefined ? "failed" : `failed: ${cause}`;
  }
  const result = Object(JSON.parse(job.result ?? "{}")) as Record<string, unknown>;
  const values = Object.entries(members).flatMap(([member, label]) => labeled(result[member], label));
  return values.length === 0 ? job.status : `${job.status}: ${values.join(", ")}`;
}

const labeled = (value: unknown, label: string): string[] => (typeof value === "number" && value > 0 ? [`${value} ${label}`] : []);

/** "no message", "1 message", "3 messages". */
export const messages = (count: number): string =>
  count === 1 ? "1 message" : `${count === 0 ? "no" : count} message${count === 0 ? "" : "s"}`;

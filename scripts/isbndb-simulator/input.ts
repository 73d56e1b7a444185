/**
 * What control callers send: JSON, or the page's forms in JSON's place. A complaint names the field, quotes the value and says what was
 * expected. No I/O.
 */
import { z } from "zod";

export const whole = (from: number, to: number) => {
  const error = `a whole number from ${from} to ${to}`;
  return z.int({ error }).min(from, { error }).max(to, { error });
};

export interface Complaint {
  field: string;
  value: unknown;
  expected: string;
}

export class InvalidInput extends Error {
  readonly complaints: Complaint[];

  constructor(complaints: Complaint[]) {
    super(
      complaints.map(({ field, value, expected }) => `${field}: ${JSON.stringify(value) ?? "nothing"} (expected ${expected})`).join("; "),
    );
    this.complaints = complaints;
  }
}

const valueAt = (input: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((value, key) => (typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined), input);

/** The value as the schema reads it, or every complaint at once. */
export const checked = <Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> => {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw new InvalidInput(
    parsed.error.issues.flatMap((issue) => {
      if (issue.code === "unrecognized_keys") {
        return issue.keys.map((key) => ({
          field: [...issue.path, key].join("."),
          value: valueAt(input, [...issue.path, key]),
          expected: "no such field",
        }));
      }
      const expected = issue.code === "invalid_key" ? (issue.issues[0]?.message ?? issue.message) : issue.message;
      return [{ field: issue.path.join(".") || "body", value: valueAt(input, issue.path), expected }];
    }),
  );
};

type Form = Readonly<Record<string, string>>;

/** Text that is no number stays text, so that the complaint quotes it. */
const numberOr = (text: string): number | string => (text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text);

const NUMBERS = ["daily_limit", "rate_per_second", "max_batch", "unknown_percent", "latency_ms"] as const;
const TEXTS = ["billing", "dialect"] as const;

/** Lines "name = total"; what was there before and is gone now is taken out. */
const mapFrom = (text: string, current: Record<string, number>): Record<string, number | string | null> => {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const entries = lines.map((line) => {
    const at = line.lastIndexOf("=");
    return at < 0 ? [line.trim(), "no total"] : [line.slice(0, at).trim(), numberOr(line.slice(at + 1).trim())];
  });
  return { ...Object.fromEntries(Object.keys(current).map((name) => [name, null])), ...Object.fromEntries(entries) };
};

interface CurrentSettings {
  readonly clock: string | null;
  readonly authors: Record<string, number>;
  readonly releases: Record<string, number>;
}

export const settingsFromForm = (form: Form, current: CurrentSettings): Record<string, unknown> => {
  const patch: Record<string, unknown> = {};
  for (const name of NUMBERS) if (form[name] !== undefined) patch[name] = numberOr(form[name]);
  for (const name of TEXTS) if (form[name] !== undefined) patch[name] = form[name];
  // The field shows what the clock was set to: sent back unchanged, it must not turn the running clock back.
  const clock = form["clock"]?.trim() || null;
  if (form["clock"] !== undefined && clock !== current.clock) patch["clock"] = clock;
  if (form["authors"] !== undefined) patch["authors"] = mapFrom(form["authors"], current.authors);
  if (form["releases"] !== undefined) patch["releases"] = mapFrom(form["releases"], current.releases);
  return patch;
};

export const spendFromForm = (form: Form): Record<string, unknown> => ({ calls: numberOr(form["calls"] ?? "") });

/** Fields left empty are left out; status and hang_ms count only for the kinds that know them. */
export const faultFromForm = (form: Form): Record<string, unknown> => {
  const kind = form["kind"] ?? "";
  const fault: Record<string, unknown> = { kind };
  for (const name of ["path", "method"]) if (form[name]) fault[name] = form[name];
  for (const name of ["after", "times"]) if (form[name]) fault[name] = numberOr(form[name]);
  if (kind === "status") fault["status"] = numberOr(form["status"] ?? "");
  if (kind.startsWith("hang_") && form["hang_ms"]) fault["hang_ms"] = numberOr(form["hang_ms"]);
  return fault;
};

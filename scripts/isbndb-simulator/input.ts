/** Validates JSON and forms of the control API. Problems name the field, the value and the accepted values. No I/O. */
import { z } from "zod";

export const whole = (from: number, to: number) => {
  const error = `a whole number from ${from} to ${to}`;
  return z.int({ error }).min(from, { error }).max(to, { error });
};

export interface Problem {
  field: string;
  value: unknown;
  expected: string;
}

export class InvalidInput extends Error {
  readonly problems: Problem[];

  constructor(problems: Problem[]) {
    super(
      problems.map(({ field, value, expected }) => `${field}: ${JSON.stringify(value) ?? "nothing"} (expected ${expected})`).join("; "),
    );
    this.problems = problems;
  }
}

const valueAt = (input: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((value, key) => (typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined), input);

/** Parses the input. Throws `InvalidInput` with all problems. */
export const validate = <Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> => {
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

/** Converts numbers. Other text stays text, so that the problem quotes it. */
const numberOr = (text: string): number | string => (text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text);

const NUMBERS = ["daily_limit", "rate_per_second", "max_batch", "unknown_percent", "latency_ms"] as const;
const TEXTS = ["billing", "dialect"] as const;

/** Parses lines "name = total". Names that are missing now become null. */
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
  // The field shows the time that was set. An unchanged value must not turn back the running clock.
  const clock = form["clock"]?.trim() || null;
  if (form["clock"] !== undefined && clock !== current.clock) patch["clock"] = clock;
  if (form["authors"] !== undefined) patch["authors"] = mapFrom(form["authors"], current.authors);
  if (form["releases"] !== undefined) patch["releases"] = mapFrom(form["releases"], current.releases);
  return patch;
};

export const spendFromForm = (form: Form): Record<string, unknown> => ({ calls: numberOr(form["calls"] ?? "") });

/** Omits empty fields. Only some kinds use `status` and `hang_ms`. */
export const faultFromForm = (form: Form): Record<string, unknown> => {
  const kind = form["kind"] ?? "";
  const fault: Record<string, unknown> = { kind };
  for (const name of ["path", "method"]) if (form[name]) fault[name] = form[name];
  for (const name of ["after", "times"]) if (form[name]) fault[name] = numberOr(form[name]);
  if (kind === "status") fault["status"] = numberOr(form["status"] ?? "");
  if (kind.startsWith("hang_") && form["hang_ms"]) fault["hang_ms"] = numberOr(form["hang_ms"]);
  return fault;
};

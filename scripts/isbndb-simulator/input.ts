/** Checks what control callers send; a complaint names the field, quotes the value and says what was expected. No I/O. */
import type { z } from "zod";

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

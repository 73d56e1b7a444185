/** Parses the body of `POST /books` as JSON or as a form. */
import { z } from "zod";
import type { Result } from "./results.ts";
import { invalid } from "./results.ts";

const written = z.union([z.string(), z.number()]).transform(String);
const bodySchema = z.object({ isbns: z.union([z.array(written), z.record(z.string(), written).transform(Object.values<string>)]) });

export type Batch = { ok: true; isbns: string[] } | { ok: false; refusal: Result };

const refused = (refusal: Result): Batch => ({ ok: false, refusal });

const nonEmpty = (isbns: string[]): Batch =>
  isbns.length > 0 ? { ok: true, isbns } : refused(invalid("isbns must contain at least one ISBN"));

const fromJson = (text: string): Batch => {
  try {
    const parsed = bodySchema.safeParse(JSON.parse(text));
    return parsed.success ? nonEmpty(parsed.data.isbns) : refused(invalid("isbns must be a list of ISBNs"));
  } catch {
    return refused(invalid("the body is not valid JSON"));
  }
};

const fromForm = (text: string): Batch => {
  const form = new URLSearchParams(text);
  const values = [...form.getAll("isbns"), ...form.getAll("isbns[]")].flatMap((value) => value.split(","));
  return nonEmpty(values.map((value) => value.trim()).filter((value) => value !== ""));
};

export const readBatch = async (request: Request): Promise<Batch> => {
  const text = await request.text();
  const type = request.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (type === "application/json") return fromJson(text);
  if (type === "application/x-www-form-urlencoded") return fromForm(text);
  return refused({ kind: "error", status: 415, message: `Unsupported Media Type: "${type ?? ""}"` });
};

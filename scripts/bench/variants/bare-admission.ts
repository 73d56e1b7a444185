/** Variant of store/limits/admissions.ts: the first admission is real. Later ones send a `SELECT 1` and reuse its result. */
import { admit as originalAdmit } from "product/store/limits/admissions.ts";
import type { AdmissionAnswer, AdmissionQuery, Use } from "product/store/limits/admissions.ts";

export * from "product/store/limits/admissions.ts";

let firstAnswer: AdmissionAnswer | null = null;

export async function admit(db: D1Database, question: AdmissionQuery, use: Use | null): Promise<AdmissionAnswer> {
  if (firstAnswer === null) return (firstAnswer = await originalAdmit(db, question, use));
  await db.prepare("SELECT 1").first();
  return { ...firstAnswer, admitted: use !== null };
}

/** A request that counts for a project, and the effect of its response on the counter. */
import type { Answer, Question, Storm } from "../storm.ts";
import type { Tenant } from "../tenants.ts";

export type ClientMeter = "db_queries_per_day" | "function_invocations_per_day";

/** The admission itself refused the request, so it was never counted. */
const NEVER_ADMITTED = new Set(["unauthorized", "forbidden", "project_suspended", "cap_exceeded", "monthly_quota_exceeded"]);
/** The documentation promises that a refusal without cost refunds the use. */
const GIVES_BACK = new Set([400, 403, 404, 422, 429, 503]);

export async function metered(
  storm: Storm,
  { tenant, meter, kind }: { readonly tenant: Tenant; readonly meter: ClientMeter; readonly kind: string },
  question: Question,
): Promise<Answer | null> {
  const answer = await storm.ask(kind, { ...question, token: tenant.key });
  const book = storm.journal.meter(tenant.id, meter);
  if (answer?.status === 200) storm.journal.served.push({ project: tenant.id, askedAt: answer.askedAt, answeredAt: answer.answeredAt });
  if (answer === null) book.lost += 1;
  else if (counts(answer)) book.sure += 1;
  else if (!NEVER_ADMITTED.has(String(answer.body["code"]))) book.givenBackAt.push(answer.answeredAt);
  return answer;
}

function counts({ status, body }: Answer): boolean {
  if (status >= 200 && status <= 299) return true;
  if (NEVER_ADMITTED.has(String(body["code"]))) return false;
  if (body["counted"] === true) return true;
  const charged = body["calls_charged"];
  return charged === undefined ? !GIVES_BACK.has(status) : charged !== 0;
}

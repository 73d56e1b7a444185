import { job } from "../cells/job.ts";
import { repair } from "../harness.ts";
import type { JobFlow, JobWorld } from "../harness.ts";
import { resultOf } from "../../words.ts";
import { jobResult } from "../words.ts";

async function requestJob(n: number, { send, settled, jobs }: JobWorld): Promise<string> {
  const answer = await send("POST", "/api/jobs", { type: "reset_quotas", payload: {}, idempotency_key: `key ${n}` });
  await settled();
  const [one, ...others] = await jobs("reset_quotas");
  return [resultOf(answer), jobResult(one), ...others.map(() => "and another")].join(", ");
}

export const jobFlow: JobFlow = {
  table: job,
  covered: ["AS first_open", "d.enqueued_at IS NULL AND d.due_at", "operators_told_at IS NULL"],
  use: requestJob,
  later: async (n, world) => (await requestJob(n, world)) + (await repair(world)),
};

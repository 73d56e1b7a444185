import { job } from "../cells/job.ts";
import { repaired } from "../harness.ts";
import type { JobFlow, JobWorld } from "../harness.ts";
import { tell } from "../../words.ts";
import { endOf } from "../words.ts";

async function asked(n: number, { ask, settled, jobs }: JobWorld): Promise<string> {
  const answer = await ask("POST", "/api/jobs", { type: "reset_quotas", payload: {}, idempotency_key: `key ${n}` });
  await settled();
  const [one, ...others] = await jobs("reset_quotas");
  return [tell(answer), endOf(one), ...others.map(() => "and another")].join("; ");
}

export const jobFlow: JobFlow = {
  table: job,
  elsewhere: ["AS first_open", "d.enqueued_at IS NULL AND d.due_at", "operators_told_at IS NULL"],
  use: asked,
  later: async (n, world) => (await asked(n, world)) + (await repaired(world)),
};

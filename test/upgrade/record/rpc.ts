/** What today's ledger answers Workers of other releases. */
import type { LedgerMethods } from "../../../worker/src/quota/client.ts";
import { ledger } from "../../support/worker.ts";
import type { Release } from "../recording.ts";

const spending = { caller: "rpc", priority: "interactive" } as const;

export async function rpcAnswers(): Promise<Release["rpc"]> {
  const asked: LedgerMethods = ledger();
  const reserve = await asked.reserve({ id: "rpc-1", cost: { calls: 3 }, ...spending }, null);
  const refused = await asked.reserve({ id: "rpc-2", cost: { calls: 13_000 }, ...spending }, null);
  const check = await asked.check({ cost: { calls: 3 }, ...spending });
  const commit = await asked.commit({ id: "rpc-1" });
  await asked.reserve({ id: "rpc-3", cost: { calls: 2 }, ...spending }, null);
  const release = await asked.release("rpc-3");
  const answers = {
    reserve,
    refused,
    check,
    commit,
    release,
    abandon: await asked.abandon("rpc-4"),
    status: await asked.status(),
    overview: await asked.overview(2, "by_project"),
    callerUse: await asked.callerUse("rpc"),
    history: await asked.history(2),
  };
  return answers as unknown as Release["rpc"];
}

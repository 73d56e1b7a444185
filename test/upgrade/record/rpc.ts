/** Records the ledger's RPC answers. */
import type { LedgerMethods } from "../../../worker/src/quota/client.ts";
import { ledger } from "../../support/worker.ts";
import type { Release } from "../recording.ts";

const spending = { caller: "rpc", priority: "interactive" } as const;

export async function rpcAnswers(): Promise<Release["rpc"]> {
  const methods: LedgerMethods = ledger();
  const reserve = await methods.reserve({ id: "rpc-1", cost: { calls: 3 }, ...spending }, null);
  // Below the limit of 12,500, and above the remaining calls.
  const refused = await methods.reserve({ id: "rpc-2", cost: { calls: 12_000 }, ...spending }, null);
  const check = await methods.check({ cost: { calls: 3 }, ...spending });
  const commit = await methods.commit({ id: "rpc-1" });
  await methods.reserve({ id: "rpc-3", cost: { calls: 2 }, ...spending }, null);
  const release = await methods.release("rpc-3");
  const answers = {
    reserve,
    refused,
    check,
    commit,
    release,
    abandon: await methods.abandon("rpc-4"),
    status: await methods.status(),
    overview: await methods.overview(2, "by_project"),
    callerUse: await methods.callerUse("rpc"),
    history: await methods.history(2),
  };
  return answers as unknown as Release["rpc"];
}

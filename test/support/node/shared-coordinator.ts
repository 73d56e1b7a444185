/** One `npm start` for all suites of a test file, because each start takes seconds of CPU time. The file stops it. */
import { Coordinator } from "./coordinator.ts";

const shared = new Coordinator();
let started: Promise<unknown> | null = null;

/** With the quota and the simulator as after the start. */
export async function sharedCoordinator(): Promise<Coordinator> {
  started ??= shared.start();
  await started;
  const headers = { authorization: `Bearer ${shared.token}` };
  await fetch(`${shared.simulatorUrl}/_simulator/reset`, { method: "POST" });
  await fetch(`${shared.url}/api/quota/settings`, { method: "DELETE", headers });
  await fetch(`${shared.url}/api/quota/reset`, { method: "POST", headers });
  return shared;
}

export const stopSharedCoordinator = async (): Promise<void> => shared.stop();

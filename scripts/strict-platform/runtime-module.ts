/** The module "cloudflare:workers" for the product under test. Its `waitUntil` also notifies the invocation. */
import { waitUntil as original } from "cloudflare:workers";
import { currentInvocation } from "./invocation.ts";

export { DurableObject, RpcTarget, WorkerEntrypoint, WorkflowEntrypoint, env, exports } from "cloudflare:workers";

export function waitUntil(work: Promise<unknown>): void {
  currentInvocation()?.waitUntil(work);
  original(work);
}

/** The Worker called as the platform calls it, with an environment of the test's own. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import worker from "../../worker/src/index.ts";
import { ADMIN_TOKEN } from "../support/worker.ts";

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Record<string, unknown>;
}

/** One request to a Worker whose bindings differ from the usual ones; `undefined` takes one away. */
export async function callWith(
  changed: Record<string, unknown>,
  path: string,
  init: RequestInit<IncomingRequestCfProperties> = {},
): Promise<Reply> {
  const context = createExecutionContext();
  const request = new Request(`http://coordinator.test${path}`, init);
  const response = await worker.fetch(request, { ...env, ...changed }, context);
  const text = await response.text();
  await waitOnExecutionContext(context);
  const isJson = text !== "" && /json/u.test(response.headers.get("content-type") ?? "");
  return { status: response.status, headers: response.headers, text, body: isJson ? (JSON.parse(text) as Record<string, unknown>) : {} };
}

/** The same with a JSON body, as the administrator. */
export async function postWith(changed: Record<string, unknown>, path: string, body: unknown): Promise<Reply> {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
  return callWith(changed, path, { method: "POST", headers, body: JSON.stringify(body) });
}

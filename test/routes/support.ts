/** Calls the Worker as the platform does, with the test's own environment. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import worker from "../../worker/src/index.ts";
import { ADMIN_TOKEN } from "../support/worker.ts";
import type { Answer } from "../support/worker.ts";

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Record<string, unknown>;
}

/** One request to a Worker with changed bindings. `undefined` removes one. */
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

/** Required headers of every response. Returns the names of wrong ones. */
export const insane = ({ headers }: { headers: Headers }): string[] => {
  const expected: Record<string, RegExp> = {
    "x-request-id": /^[\w.:-]{1,128}$/u,
    "x-content-type-options": /^nosniff$/u,
    "x-frame-options": /^DENY$/u,
    "content-security-policy": /\bframe-ancestors 'none'/u,
    // Only the OpenAPI document may be stored, and it is compared by its ETag.
    "cache-control": headers.has("etag") ? /^no-cache$/u : /\bno-store\b/u,
    "referrer-policy": /^same-origin$/u,
    "strict-transport-security": /^max-age=\d+/u,
  };
  return Object.entries(expected)
    .filter(([name, form]) => !form.test(headers.get(name) ?? ""))
    .map(([name]) => name);
};

const linksOf = (body: Record<string, unknown>): unknown[] => [body["type"], body["documentation_url"]];

/** Status and code of an error, and defects of the problem. */
export const problemIn = (answer: Answer): { status: number; code: unknown; wrong: string[] } => {
  const { status, headers, body } = answer;
  const wrong = insane(answer);
  if (headers.get("content-type") !== "application/problem+json") wrong.push("content-type");
  if (!linksOf(body).includes(`http://coordinator.test/docs/errors#${String(body["code"])}`) || body["status"] !== status)
    wrong.push("type or status");
  if (typeof body["title"] !== "string" || typeof body["detail"] !== "string") wrong.push("title or detail");
  return { status, code: body["code"], wrong };
};

export const problem = (status: number, code: string) => ({ status, code, wrong: [] });

/** Projects provisioned by their job, and the three services that register them. */
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import { ServiceRegistry } from "../../../worker/src/services/registration.ts";
import { post } from "../worker.ts";
import type { Answer } from "../worker.ts";
import { ended } from "../../jobs/support.ts";
import type { Job } from "../../jobs/support.ts";
import { rows } from "./http.ts";
import type { Body } from "./http.ts";

const URLS = { auth: "http://auth.test/projects", realtime: "http://realtime.test/", storage: "http://storage.test/v1?zone=a" };

export interface ServiceRequest {
  /** "POST auth", "DELETE storage". */
  readonly what: string;
  readonly url: string;
  readonly body: unknown;
  readonly idempotencyKey: string | null;
  readonly redirect: string | undefined;
}

/** The services are configured, and answer like this. The default is 201. */
export function services(
  answer: (what: string, times: number) => Promise<Response | null> | Response | null = () => null,
): ServiceRequest[] {
  const configured = new ServiceRegistry(URLS);
  const register = Reflect.get(ServiceRegistry.prototype, "register") as () => ReturnType<ServiceRegistry["register"]>;
  const deregister = Reflect.get(ServiceRegistry.prototype, "deregister") as () => Promise<void>;
  vi.spyOn(ServiceRegistry.prototype, "register").mockImplementation(async (...given) => Reflect.apply(register, configured, given));
  vi.spyOn(ServiceRegistry.prototype, "deregister").mockImplementation(async (...given) => Reflect.apply(deregister, configured, given));
  const requests: ServiceRequest[] = [];
  const elsewhere = globalThis.fetch;
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    const service = /^http:\/\/(auth|realtime|storage)\.test/u.exec(url)?.[1];
    if (service === undefined) return elsewhere(input, init);
    const what = `${init?.method ?? "GET"} ${service}`;
    const text = typeof init?.body === "string" ? (JSON.parse(init.body) as unknown) : null;
    requests.push({ what, url, body: text, idempotencyKey: new Headers(init?.headers).get("idempotency-key"), redirect: init?.redirect });
    const times = requests.filter((each) => each.what === what).length;
    return (await answer(what, times)) ?? Response.json({ id: `${service}-77` }, { status: 201 });
  });
  return requests;
}

export interface Created extends Body {
  readonly project: Body & { readonly provisioning: { status: string; job_id: string; steps: { step: string; status: string }[] } };
  readonly api_key: { readonly id: string; readonly key: string | null };
  readonly job: { readonly id: string; readonly status: string | null; readonly href: string };
}

export const create = async (more: Body = {}): Promise<Answer<Created>> =>
  post<Created>("/api/projects", { id: "shop", organization_id: "org", name: "Shop", region: "weur", owner_id: "ada", ...more });

/** Creates a project, and waits for the end of its job. */
export async function createdBy(more: Body = {}): Promise<{ readonly made: Created; readonly job: Job }> {
  const { status, body } = await create(more);
  if (status !== 201) throw new Error(`${status} ${JSON.stringify(body)}`);
  return { made: body, job: await ended(body.job.id) };
}

/** Rows that name the project or its key, in all tables except the history: jobs, events and the audit log. */
export async function leftOf(id: string, keyId: string): Promise<string[]> {
  const tables = await rows(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
  );
  const left: string[] = [];
  for (const { name } of tables) {
    if (["jobs", "job_attempts", "events", "audit_log"].includes(String(name))) continue;
    for (const row of await rows(`SELECT * FROM ${String(name)}`)) {
      if (Object.values(row).some((value) => value === id || value === keyId)) left.push(String(name));
    }
  }
  const state = await env.TENANT_DATABASE.getByName(id).state();
  if (state.createdAt !== null || state.schemaVersion !== 0) left.push("the database");
  return left;
}

/**
 * The only way to the services that learn of projects (AUTH_URL, REALTIME_URL, STORAGE_URL): POST when one is created, DELETE when its
 * creation is undone. Both may be sent twice. Errors never hold the address: its query may be nobody's business.
 */
import type { Service, ServicesConfig } from "../env.ts";
import { readText } from "../lib/read-text.ts";

/** In the order in which they learn of a project; undone in the opposite one. */
export const SERVICES = ["auth", "realtime", "storage"] as const satisfies readonly Service[];

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_REFERENCE_CHARACTERS = 200;

export interface Registration {
  readonly projectId: string;
  readonly name: string;
  readonly region: string | null;
  readonly ownerId: string | null;
  /** The same for every try, so that the service can tell a retry. */
  readonly idempotencyKey: string;
}

export class ServiceRegistry {
  readonly #urls: ServicesConfig;

  constructor(urls: ServicesConfig) {
    this.#urls = urls;
  }

  /** Makes a project known. `local`: there is no such service. Throws unless the service answers 2xx, or 409: it knows the project already. */
  async register(
    service: Service,
    project: Registration,
  ): Promise<{ readonly status: "registered" | "local"; readonly reference: string | null }> {
    const url = this.#urls[service];
    if (url === null) return { status: "local", reference: null };
    const { projectId, name, region, ownerId, idempotencyKey } = project;
    const body = JSON.stringify({ project_id: projectId, name, region, owner_id: ownerId });
    const headers = { "content-type": "application/json", "idempotency-key": idempotencyKey };
    const { status, text } = await send(service, new URL(url), { method: "POST", headers, body });
    if (!isSuccess(status) && status !== 409) throw new Error(refused(service, "POST", status));
    return { status: "registered", reference: referenceIn(text) };
  }

  /** Makes it unknown again: DELETE of the project's id below the address. One that is not known there (404, 410) is as good. */
  async deregister(service: Service, projectId: string): Promise<void> {
    const configured = this.#urls[service];
    if (configured === null) return;
    const url = new URL(configured);
    url.pathname = `${url.pathname.replace(/\/+$/u, "")}/${encodeURIComponent(projectId)}`;
    const { status } = await send(service, url, { method: "DELETE" });
    if (!isSuccess(status) && status !== 404 && status !== 410) throw new Error(refused(service, "DELETE", status));
  }
}

const isSuccess = (status: number): boolean => status >= 200 && status < 300;

function refused(service: Service, method: string, status: number): string {
  const hint = status >= 300 && status < 400 ? "; redirects are not followed" : "";
  return `The service ${service} answered ${method} with ${status}${hint}`;
}

async function send(service: Service, url: URL, init: RequestInit): Promise<{ readonly status: number; readonly text: string | null }> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await globalThis.fetch(url.href, { ...init, redirect: "manual", signal });
    return { status: response.status, text: await readText(response.body, MAX_ANSWER_BYTES, signal) };
  } catch (cause) {
    const why = signal.aborted ? `did not answer within ${TIMEOUT_MS / 1_000} s` : "could not be reached";
    throw new Error(`The service ${service} ${why}`, { cause });
  }
}

/** What the service calls the project: `id` of its answer, where that is one. */
function referenceIn(text: string | null): string | null {
  try {
    const { id }: { readonly id?: unknown } = Object(JSON.parse(text ?? "null"));
    return typeof id === "string" && id.length <= MAX_REFERENCE_CHARACTERS ? id : null;
  } catch {
    return null;
  }
}

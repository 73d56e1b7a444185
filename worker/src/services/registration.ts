/**
 * The only client of the services that are notified of projects (AUTH_URL, REALTIME_URL, STORAGE_URL). It sends POST when a project is
 * created and DELETE when its creation is rolled back. Both are idempotent. Errors never contain the address, because its query may be
 * confidential.
 */
import type { Service, ServicesConfig } from "../env.ts";
import { readText } from "../lib/read-text.ts";

/** Order of registration. A rollback uses the opposite order. */
export const SERVICES = ["auth", "realtime", "storage"] as const satisfies readonly Service[];

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_REFERENCE_CHARACTERS = 200;

export interface Registration {
  readonly projectId: string;
  readonly name: string;
  readonly region: string | null;
  readonly ownerId: string | null;
  /** The same for every attempt, so that the service can recognize a retry. */
  readonly idempotencyKey: string;
}

export class ServiceRegistry {
  readonly #urls: ServicesConfig;

  constructor(urls: ServicesConfig) {
    this.#urls = urls;
  }

  /**
   * Registers a project. Returns `local` if the service is not configured. Throws unless the service responds with 2xx, or with 409 for a
   * known project.
   */
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

  /** Sends DELETE for the project's id below the address. An unknown project (404, 410) counts as success. */
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
  const hint = status >= 300 && status < 400 ? ". Redirects are not followed" : "";
  return `The service ${service} responded to ${method} with ${status}${hint}`;
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

/** The service's own id of the project: `id` of its response, if it has one. */
function referenceIn(text: string | null): string | null {
  try {
    const { id }: { readonly id?: unknown } = Object(JSON.parse(text ?? "null"));
    return typeof id === "string" && id.length <= MAX_REFERENCE_CHARACTERS ? id : null;
  } catch {
    return null;
  }
}

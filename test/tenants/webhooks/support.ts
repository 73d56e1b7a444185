/** A receiver that replaces the network, and a project with webhooks. */
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import { Webhook } from "standardwebhooks";
import { dispatchEvents } from "../../../worker/src/tenants/webhooks/dispatch.ts";
import { attemptDelivery } from "../../../worker/src/tenants/webhooks/delivery.ts";
import type { AttemptOutcome } from "../../../worker/src/tenants/webhooks/delivery.ts";
import { createDeps } from "../../../worker/src/deps.ts";
import { look } from "../../support/secret-watch.ts";
import { get, post } from "../../support/worker.ts";
import { right } from "../../support/tenants/http.ts";
import type { Body } from "../../support/tenants/http.ts";

export const RECEIVER = "https://receiver.example/hooks";

export interface Received {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly redirect: string | undefined;
  readonly method: string | undefined;
}

type Respond = (received: Received, nth: number) => Response | Promise<Response>;

/** From now on every host that ends in `.example` is answered by this receiver. Other addresses are answered as before. */
export function receiver(respond: Respond = () => new Response("thanks")): Received[] {
  const real = globalThis.fetch;
  const all: Received[] = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const url = input instanceof Request ? input.url : String(input);
    if (!new URL(url).hostname.endsWith(".example")) return real(input, init);
    const headers = Object.fromEntries(new Headers(init?.headers));
    const body = typeof init?.body === "string" ? init.body : "";
    look("webhook", `${JSON.stringify(headers)} ${body}`);
    const received = { url, headers, body, redirect: init?.redirect, method: init?.method };
    return respond(received, all.push(received));
  });
  return all;
}

export interface WebhookWithSecret extends Body {
  readonly id: string;
  readonly secret: string;
  readonly status: string;
  readonly status_reason: string | null;
  readonly failures: number;
  readonly replayable: { readonly deliveries: number; readonly since: string | null };
}

export interface ShownDelivery extends Body {
  readonly id: string;
  readonly webhook_id: string;
  readonly message_id: string;
  readonly event_id: string | null;
  readonly type: string;
  readonly status: string;
  readonly reason: string | null;
  readonly run: number;
  readonly tries: number;
  readonly job_id: string | null;
  readonly attempts: readonly {
    readonly run: number;
    readonly attempt: number;
    readonly status_code: number | null;
    readonly error: string | null;
    readonly response: string | null;
  }[];
}

export const makeWebhook = async (project = "shop", body: Body = {}): Promise<WebhookWithSecret> =>
  right(await post<WebhookWithSecret>(`/api/projects/${project}/webhooks`, { url: RECEIVER, ...body }));

export const readWebhook = async (id: string, project = "shop"): Promise<WebhookWithSecret> =>
  right(await get<WebhookWithSecret>(`/api/projects/${project}/webhooks/${id}`));

/** Newest first. */
export const deliveries = async (query = "", project = "shop"): Promise<ShownDelivery[]> =>
  right(await get<{ deliveries: ShownDelivery[] }>(`/api/projects/${project}/webhooks/deliveries?limit=200&${query}`)).deliveries;

export const readDelivery = async (id: string, project = "shop"): Promise<ShownDelivery> =>
  right(await get<ShownDelivery>(`/api/projects/${project}/webhooks/deliveries/${id}`));

/** The relevant fields of each delivery, oldest first. */
export const outcomes = async (query = "", project = "shop"): Promise<string[]> =>
  (await deliveries(query, project))
    .map(({ type, status, reason }) => [type, status, ...(reason === null ? [] : [reason])].join(" "))
    .toReversed();

/** Waits until the deliveries of a project have these states. */
export const untilOutcomes = async (wanted: readonly string[], query = ""): Promise<void> => {
  await vi.waitFor(
    async () => {
      const now = await outcomes(query);
      if (JSON.stringify(now) !== JSON.stringify(wanted)) throw new Error(`deliveries are ${JSON.stringify(now)}`);
    },
    { timeout: 20_000, interval: 20 },
  );
};

interface Happening {
  readonly project?: string;
  readonly type?: string;
  readonly data?: Body;
}

/** An event of the project, as the product writes it. It is not dispatched automatically. */
export async function happened(id: string, { project = "shop", type = "quota.warning", data = {} }: Happening = {}): Promise<void> {
  const sql = "INSERT INTO events (id, type, project_id, data, created_at) VALUES (?, ?, ?, ?, ?)";
  await env.DB.prepare(sql)
    .bind(id, type, project, JSON.stringify({ project_id: project, ...data }), Date.now())
    .run();
}

/** Builds the Worker's services with some bindings of the test. */
export const deps = (changed: Partial<Env> = {}) => createDeps({ ...env, ...changed }, () => Date.now());

/** A receiver's verification of a message with this secret. Throws if the signature is wrong. It uses the test's clock. */
export const verified = ({ body, headers }: Received, secret: string): unknown => new Webhook(secret).verify(body, headers);

/** Dispatches without any job. The test does the job's work itself. */
export const dispatchOnly = async () =>
  dispatchEvents({ ...deps(), jobs: { enqueueMany: async (_type, payloads) => payloads.map((_, index) => `none-${index}`) } });

/** Makes a delivery's attempts as its job does, without the pauses. */
export async function deliver(id: string, run = 1): Promise<AttemptOutcome> {
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await attemptDelivery(deps(), id, run, attempt);
    if (outcome.is !== "again") return outcome;
  }
}

/** An event with one delivery, which is attempted until it ends. */
export async function deliverEvent(event: string, more: Happening = {}): Promise<AttemptOutcome> {
  await happened(event, more);
  await dispatchOnly();
  const [newest] = await deliveries("", more.project);
  if (newest?.event_id !== event) throw new Error(`${event} made no delivery`);
  return deliver(newest.id);
}

/** A test ends when its jobs have ended. Otherwise they would write into the next test's tables. */
export async function quiet(): Promise<void> {
  await vi.waitFor(
    async () => {
      const open = await env.DB.prepare("SELECT count(*) AS n FROM jobs WHERE ended_at IS NULL").first("n");
      if (open !== 0) throw new Error(`${String(open)} jobs are in progress`);
    },
    { timeout: 20_000, interval: 20 },
  );
}

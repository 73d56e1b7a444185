/** A local ISBNdb with one subscription in one Durable Object. `/_simulator` shows and changes its state. */
import { DurableObject } from "cloudflare:workers";
import { Hono } from "hono";
import { Account } from "./account.ts";
import { controlRoutes } from "./control.ts";
import { providerRoutes } from "./provider.ts";

interface Env {
  ACCOUNT: DurableObjectNamespace<SimulatedAccount>;
  SIMULATOR_API_KEY: string;
}

/** Handles all requests in one place, so that check and write need no round trip. */
export class SimulatedAccount extends DurableObject<Env> {
  readonly #app: Hono;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const account = new Account(ctx.storage);
    this.#app = new Hono().route("/_simulator", controlRoutes(account)).route("/", providerRoutes(account, env.SIMULATOR_API_KEY));
  }

  override async fetch(request: Request): Promise<Response> {
    return this.#app.fetch(request);
  }
}

export default {
  fetch: async (request, env) => env.ACCOUNT.getByName("subscription").fetch(request),
} satisfies ExportedHandler<Env>;

/** The Durable Object: everything happens where the count is, so that check and write need no round trip between them. */
import { DurableObject } from "cloudflare:workers";
import { Hono } from "hono";
import { Account } from "./account.ts";
import { controlRoutes } from "./control.ts";
import { providerRoutes } from "./provider.ts";

export interface Env {
  ACCOUNT: DurableObjectNamespace<SimulatedAccount>;
  SIMULATOR_API_KEY: string;
}

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

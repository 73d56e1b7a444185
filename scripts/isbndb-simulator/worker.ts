/** A local ISBNdb: one subscription, in one Durable Object. `/_simulator` shows and sets its state. */
import type { Env } from "./simulated-account.ts";

export { SimulatedAccount } from "./simulated-account.ts";

export default {
  fetch: async (request, env) => env.ACCOUNT.getByName("subscription").fetch(request),
} satisfies ExportedHandler<Env>;

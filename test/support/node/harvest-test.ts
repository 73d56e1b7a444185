/** Tests of the harvest against a server that fails on demand. Each has its own server, so that they can run concurrently. */
import { test } from "vitest";
import { HarvestDesk } from "./harvest.ts";
import { HarvestServer } from "./harvest-server.ts";

export const it = test
  .extend("server", async ({ task: _ }, { onCleanup }) => {
    const server = new HarvestServer();
    await server.listen();
    onCleanup(async () => server.close());
    return server;
  })
  .extend("desk", async ({ server }, { onCleanup }) => {
    const desk = new HarvestDesk();
    desk.url = server.url;
    onCleanup(() => desk.clear());
    return desk;
  });

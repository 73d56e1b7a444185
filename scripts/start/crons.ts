/** Local workerd fires no crons: this ticks them, in UTC, as the platform does. */
import { get } from "node:http";
import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { Cron } from "croner";

const MINUTE_MS = 60_000;

/** Starts the clock for each expression; a tick that fails is told to `onFailure`, and the next one comes all the same. */
export function tickCrons(url: string, expressions: readonly string[], onFailure: (message: string) => void): { stop: () => void } {
  const clocks = expressions.map(
    (expression) =>
      new Cron(expression, { timezone: "UTC" }, async () => {
        // The minute it was due, not the moment the timer woke up: jobs are known by it.
        const time = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
        await tick(url, expression, time).catch((error: unknown) => onFailure(`The cron ${expression} failed: ${String(error)}`));
      }),
  );
  return {
    stop: () => {
      for (const clock of clocks) clock.stop();
    },
  };
}

/** Not by `fetch`, which gives up on an answer after five minutes: a harvest may take longer. */
async function tick(url: string, expression: string, time: number): Promise<void> {
  const query = new URLSearchParams({ cron: expression, time: String(time) });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${url}/cdn-cgi/local/scheduled?${query.toString()}`, resolve).on("error", reject);
  });
  const answer = await text(response);
  if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${answer}`);
}

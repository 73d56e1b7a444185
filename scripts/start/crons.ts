/** Fires the crons in UTC, because local workerd does not. */
import { get } from "node:http";
import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { Cron } from "croner";

const MINUTE_MS = 60_000;

/** Starts a timer for each expression. `onFailure` receives failures, and later ticks still fire. */
export function tickCrons(url: string, expressions: readonly string[], onFailure: (message: string) => void): { stop: () => void } {
  const timers = expressions.map(
    (expression) =>
      new Cron(expression, { timezone: "UTC" }, async () => {
        // Jobs are identified by the scheduled minute, not by the time the timer fired.
        const time = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
        await tick(url, expression, time).catch((error: unknown) => onFailure(`The cron ${expression} failed: ${String(error)}`));
      }),
  );
  return {
    stop: () => {
      for (const timer of timers) timer.stop();
    },
  };
}

/** `fetch` is not used, because it times out after five minutes. A harvest may take longer. */
async function tick(url: string, expression: string, time: number): Promise<void> {
  const query = new URLSearchParams({ cron: expression, time: String(time) });
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${url}/cdn-cgi/local/scheduled?${query.toString()}`, resolve).on("error", reject);
  });
  const answer = await text(response);
  if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${answer}`);
}

import { afterAll, beforeAll, expect, it } from "vitest";
import { authorNamed } from "../../scripts/isbndb-simulator/authors.ts";
import type { Coordinator } from "../support/node/coordinator.ts";
import { SOAK } from "../support/node/soak.ts";
import { HarvestDesk, eventsIn } from "../support/node/harvest.ts";
import { sharedCoordinator } from "../support/node/shared-coordinator.ts";

const DAYS = 4;
/** `npm run test:soak` has 500 calls per day and 2,000 authors. */
const DAY = SOAK ? 500 : 20;
const AUTHORS = DAYS * DAY;

/** Mostly unknown names, which cost a call too, and some authors with one page of books. */
const WORLD = { authors: {}, releases: {}, unknown_percent: 2 };
const people = Array.from({ length: 1_000 }, (_, index) => `Diarist ${index}`)
  .filter((name) => authorNamed(name, WORLD).total <= 60)
  .slice(0, AUTHORS / 10);
const names = Array.from({ length: AUTHORS }, (_, index) => (index % 10 === 0 ? (people[index / 10] ?? "") : `Nobody today ${index}`));

let coordinator: Coordinator;
const desk = new HarvestDesk();

const call = async (method: string, path: string, body?: object): Promise<Record<string, unknown>> => {
  const headers = { authorization: `Bearer ${coordinator.token}`, "content-type": "application/json" };
  const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) };
  return (await (await fetch(`${coordinator.url}${path}`, init)).json()) as Record<string, unknown>;
};

beforeAll(async () => {
  coordinator = await sharedCoordinator();
  [desk.url, desk.token] = [coordinator.url, coordinator.token];
  await call("PUT", "/api/quota/settings", { daily_limit: DAY, safety_buffer: 0, background_floor: 0, rate_per_second: 0 });
  await fetch(`${coordinator.simulatorUrl}/_simulator/settings`, { method: "PUT", body: JSON.stringify({ rate_per_second: 0 }) });
});
afterAll(() => desk.clear());

it(`harvests ${AUTHORS} authors in four days of ${DAY} calls, continuing after each reset`, async () => {
  const spent: unknown[] = [];
  const harvest = desk.start(`--authors=${desk.list(names)}`, "--wait", "--json");
  while (spent.length < DAYS - 1) {
    const days = spent.length + 1;
    await expect.poll(() => harvest.output.match(/"type":"exhausted"/gu)?.length, { timeout: 60_000, interval: 50 }).toBe(days);
    spent.push((await call("GET", "/api/quota/status"))["used"]);
    await call("POST", "/api/quota/reset");
  }
  expect(await harvest.ended).toBe(0);
  spent.push((await call("GET", "/api/quota/status"))["used"]);

  expect(spent).toEqual(Array.from({ length: DAYS }, () => DAY));
  expect(eventsIn(harvest.output).at(-1)).toMatchObject({ type: "end", ending: "done", settled: AUTHORS, failed: [] });
  expect(desk.saved().totals).toMatchObject({ authors: AUTHORS, pages: AUTHORS, calls: AUTHORS });

  const state = await fetch(`${coordinator.simulatorUrl}/_simulator/state`);
  expect(await state.json()).toMatchObject({ spent: AUTHORS });
  const log = await fetch(`${coordinator.simulatorUrl}/_simulator/requests?limit=5000`);
  const paths = ((await log.json()) as { path: string; billed: number }[]).filter(({ billed }) => billed > 0).map(({ path }) => path);
  expect(new Set(paths).size).toBe(AUTHORS);
});

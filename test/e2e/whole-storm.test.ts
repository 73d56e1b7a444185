/**
 * A storm of five minutes (`npm run test:soak`). Harvests, fifty clients, cron ticks, operators and webhooks use the product concurrently.
 * Meanwhile the provider fails, objects are evicted or aborted, and the Worker is killed and restarted from its disk. Afterwards all counts must
 * balance. `STORM_SEED=<number>` repeats the decisions of a storm, but not their timing. `npm test -- whole-storm` runs a short storm.
 * `npm test` does not include it: a kill near the end leaves a job that housekeeping finds only a minute later.
 */
import { writeSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compare } from "../support/node/storm/books/index.ts";
import type { Books } from "../support/node/storm/books/index.ts";
import { begin, close, quiet, rage } from "../support/node/storm/run.ts";
import type { Force } from "../support/node/storm/run.ts";
import { tableOf } from "../support/node/storm/table.ts";
import type { World } from "../support/node/storm/world.ts";
import { SOAK } from "../support/node/soak.ts";

const SHORT: Force = { seconds: 12, clients: 50, kills: 3, answers: 600, harvests: 3, authorsOfEach: 15, patient: false };
const LONG: Force = { seconds: 300, clients: 50, kills: 30, answers: 5_000, harvests: 3, authorsOfEach: 150, patient: true };
const force = SOAK ? LONG : SHORT;
const given = process.env["STORM_SEED"];
const seed = given ?? String(Date.now() % 1_000_000);
const MAX_MS = 20 * 60_000;

let world: World | undefined;
let books: Books;

beforeAll(async () => {
  world = await begin(seed, force);
  await rage(world, force);
  const unfinished = await quiet(world, force);
  books = { unfinished, ...(await compare(world)) };
  if (SOAK || given !== undefined) writeSync(1, `STORM_SEED=${seed}\n${tableOf(world.storm.journal, books)}\n`);
}, MAX_MS);

afterAll(async () => world && close(world));

describe(`a storm (STORM_SEED=${seed})`, () => {
  test("no client receives a forbidden answer", () => {
    expect(world?.storm.journal.faults).toEqual([]);
  });

  test("afterwards nothing is reserved, and no unscheduled job is unfinished", () => {
    expect(books.unfinished).toEqual([]);
  });

  test("provider, ledger, callers and clients agree on every call, and extra charges are explained", () => {
    expect(books.quota.discrepancies).toEqual([]);
  });

  test("tenants' counters, allowances, rows, suspensions and warnings match their clients' records", () => {
    expect(books.tenants.discrepancies).toEqual([]);
  });

  test("each tick, job, backup, key and target exists once and has ended", () => {
    expect(books.jobs.discrepancies).toEqual([]);
  });

  test("each event was delivered once to each subscribed webhook", () => {
    expect(books.deliveries.discrepancies).toEqual([]);
  });

  test("each author of each harvest is done once, with all books", () => {
    expect(books.harvests.discrepancies).toEqual([]);
  });
});

/**
 * Everything at once, for five minutes (`npm run test:soak`): harvests, fifty clients, ticks, operators, webhooks, a
 * provider that misbehaves, objects that are evicted or broken off, and a Worker that is killed and started again on what is on its disk.
 * Afterwards all books balance. `STORM_SEED=<number>` repeats the decisions of a storm, though not what the machine makes of them; with
 * `npm test -- whole-storm` it lasts a quarter of a minute. No part of `npm test` as it stands: a kill just before the end leaves a job for
 * housekeeping to find a minute later, and nobody wants to wait for that each time.
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
  test("nobody is told what may never be", () => {
    expect(world?.storm.journal.faults).toEqual([]);
  });

  test("afterwards nothing is held, and no job is under way without an appointment", () => {
    expect(books.unfinished).toEqual([]);
  });

  test("provider, ledger, callers and clients agree on every call, and what is charged beyond the bill is explained", () => {
    expect(books.quota.discrepancies).toEqual([]);
  });

  test("tenants' counters, allowances, rows, suspensions and warnings are what their clients saw", () => {
    expect(books.tenants.discrepancies).toEqual([]);
  });

  test("each tick, asked-for job, backup, key and target is there once, with an end", () => {
    expect(books.jobs.discrepancies).toEqual([]);
  });

  test("each event was told once to everybody who wants to hear of it", () => {
    expect(books.deliveries.discrepancies).toEqual([]);
  });

  test("each author of each harvest is done once, with all books", () => {
    expect(books.harvests.discrepancies).toEqual([]);
  });
});

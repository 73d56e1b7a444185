import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Coordinator } from "../support/node/coordinator.ts";
import { HarvestDesk } from "../support/node/harvest.ts";
import { sharedCoordinator } from "../support/node/shared-coordinator.ts";
import { SOAK } from "../support/node/soak.ts";
import type { Command } from "../support/node/process.ts";

/** `npm run test:soak` kills it 20 times, with a longer list. */
const [KILLS, AUTHORS] = SOAK ? [20, 130] : [2, 40];
const PROLIFIC_AUTHORS = { "Thick Writer 10": 2_300, "Thick Writer 20": 1_700 };
const names = Array.from({ length: AUTHORS }, (_, index) => {
  const prolific = `Thick Writer ${index}`;
  return prolific in PROLIFIC_AUTHORS ? prolific : index % 3 === 0 ? `Writer ${index}` : `Nobody ${index}`;
});

class HarvestSetup {
  coordinator!: Coordinator;
  readonly desk = new HarvestDesk();

  async open(coordinator: Coordinator): Promise<void> {
    this.coordinator = coordinator;
    [this.desk.url, this.desk.token] = [this.coordinator.url, this.coordinator.token];
    await this.call("PUT", "/api/quota/settings", { daily_limit: 5_000, safety_buffer: 0, rate_per_second: 0 });
    await this.simulator("PUT", "/settings", { rate_per_second: 0, authors: PROLIFIC_AUTHORS });
  }

  async call<Body>(method: string, path: string, body?: object): Promise<Body> {
    const headers = { authorization: `Bearer ${this.coordinator.token}`, "content-type": "application/json" };
    const init = body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) };
    return (await (await fetch(`${this.coordinator.url}${path}`, init)).json()) as Body;
  }

  async simulator<Body>(method: string, path: string, body?: object): Promise<Body> {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    return (await (await fetch(`${this.coordinator.simulatorUrl}/_simulator${path}`, init)).json()) as Body;
  }

  /** Billed pages, including repeated ones. */
  async pages(): Promise<string[]> {
    const log = await this.simulator<{ path: string; billed: number }[]>("GET", "/requests?limit=5000");
    return log.filter(({ billed }) => billed > 0).map(({ path }) => decodeURIComponent(path));
  }
}

const undisturbed = new HarvestSetup();
const killed = new HarvestSetup();
const own = new Coordinator();
beforeAll(async () => {
  await own.start();
  await killed.open(own);
  await undisturbed.open(await sharedCoordinator());
});
afterAll(async () => {
  await own.stop();
  undisturbed.desk.clear();
  killed.desk.clear();
});

/** Waits for a random time after a few authors. */
async function randomTime(harvest: Command): Promise<void> {
  const authors = Math.floor(Math.random() * 6);
  await expect
    .poll(() => harvest.output.match(/^\[\d+\//gmu)?.length ?? 0, { timeout: 60_000, interval: 5 })
    .toBeGreaterThanOrEqual(authors);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 60));
}

describe(`a harvest that is killed ${KILLS} times`, () => {
  const inFlight: string[] = [];

  it("continues at its checkpoint each time", async () => {
    const source = `--authors=${killed.desk.list(names)}`;
    let harvest = killed.desk.start(source);
    await harvest.printed("[1/");
    for (let kill = 0; kill < KILLS; kill += 1) {
      await randomTime(harvest);
      expect(await harvest.stop("SIGKILL")).toBeNull();
      inFlight.push(names[killed.desk.saved().settled] ?? "");
      harvest = killed.desk.start(source, "--resume");
    }
    expect(await harvest.ended).toBe(0);
  });

  it("has the result of an undisturbed harvest", async () => {
    const { code } = await undisturbed.desk.run(`--authors=${undisturbed.desk.list(names)}`);
    expect(code).toBe(0);
    const { settled, processed, failed, unfinished, totals } = undisturbed.desk.saved();
    expect(killed.desk.saved()).toMatchObject({ settled, processed, failed, unfinished });
    expect(killed.desk.saved().totals).toMatchObject({ authors: totals.authors, books: totals.books });
    const topAuthors = async (lab: HarvestSetup) => {
      const { authors } = await lab.call<{ authors: { author_name: string }[] }>("GET", "/api/authors/top?limit=1000");
      return authors.filter(({ author_name }) => names.includes(author_name));
    };
    expect((await topAuthors(killed)).length).toBeGreaterThan(5);
    expect(await topAuthors(killed)).toEqual(await topAuthors(undisturbed));
  });

  it("only repeated pages in flight at a kill", async () => {
    const once = await undisturbed.pages();
    expect(new Set(once).size).toBe(once.length);
    const pages = await killed.pages();
    expect(new Set(pages)).toEqual(new Set(once));
    const repeated = pages.filter((page, index) => pages.indexOf(page) !== index);
    expect(repeated.filter((page) => !inFlight.some((author) => page.includes(`/author/${author}?`)))).toEqual([]);
    expect(repeated.length).toBeLessThanOrEqual(KILLS);
  });
});

it("stops within an author at the daily limit and continues at the next page", async () => {
  const { desk } = undisturbed;
  const options = ["--author=Marathon Writer", `--checkpoint=${desk.folder}/marathon.json`];
  await undisturbed.simulator("PUT", "/settings", { authors: { "Marathon Writer": 2_500 } });
  const { used } = await undisturbed.call<{ used: number }>("GET", "/api/quota/status");
  await undisturbed.call("PUT", "/api/quota/settings", { daily_limit: used + 1, background_floor: 0 });
  const stopped = await desk.run(...options);
  expect(stopped.code).toBe(2);
  expect(stopped.output).toContain("Pass --resume to continue with Marathon Writer.");
  await undisturbed.call("PUT", "/api/quota/settings", { daily_limit: used + 3 });
  const { code, output } = await desk.run(...options, "--resume");
  expect(output).toContain("[1/1] Marathon Writer: 2,500 books, 2 calls");
  expect(output).toContain("2,500 books, 3 calls, 3 pages.");
  expect(code).toBe(0);
  const pages = (await undisturbed.pages()).filter((page) => page.includes("Marathon"));
  expect(pages.map((page) => /page=(\d+)/u.exec(page)?.[1])).toEqual(["1", "2", "3"]);
});

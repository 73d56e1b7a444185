/** Bodies by hand, at every route that takes one; and where none is expected. */
import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { signedIn } from "../dashboard/support.ts";
import { PAGES, ROUTES, routeName } from "../routes/all-routes.ts";
import { ADMIN_TOKEN } from "../support/worker.ts";
import { callWith } from "../routes/support.ts";
import { unpromised } from "./answers.ts";
import { troubles } from "./bodies.ts";
import { nameOf, operations } from "./described.ts";
import type { Operation } from "./described.ts";
import { Trial } from "./trial.ts";
import { ask } from "./world.ts";

const SOAK = env.TEST_SOAK === "true";
/** Each body goes to every third route, another third for the next body; in the soak to all. */
const SHARES = 3;

let trial: Trial;
let described: ReadonlyMap<string, Operation>;

beforeAll(async () => {
  trial = await Trial.begin();
  described = new Map((await operations()).map((operation) => [nameOf(operation), operation]));
});
beforeEach(() => {
  for (const level of ["log", "warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => undefined);
  return () => vi.restoreAllMocks();
});

/** As the document names it. */
const documented = (name: string): Operation => {
  const found = described.get(name.replaceAll(/\{(organization|reservation|job)\}/gu, "{id}"));
  if (!found) throw new Error(`${name} is not described`);
  return found;
};

const pathOf = ({ path }: Operation): string => {
  const { names } = trial.world;
  return path.replaceAll(/\{(\w+)\}/gu, (_, name: string) => names[`${path.split("/")[2] ?? ""}.${name}`] ?? names[name] ?? "none");
};

const TAKING = ROUTES.filter(({ body }) => body !== undefined).map(
  (route) => [routeName(route), route.body as Record<string, unknown>] as const,
);

describe("bodies that make trouble are answered as the document says, and what is refused changes nothing", () => {
  test.each(TAKING)("%s", async (name, right) => {
    const operation = documented(name);
    const wrong: string[] = [];
    const refused: string[] = [];
    const [all, at] = [await troubles(right), TAKING.findIndex(([each]) => each === name)];
    for (const { name: trouble, body, headers = {} } of all.filter((_, index) => SOAK || (index + at) % SHARES === 0)) {
      const answer = await ask(trial.world, operation.method, { as: "admin", path: pathOf(operation), headers, body });
      wrong.push(...unpromised(operation, answer).map((why) => `${trouble}: ${why}`));
      if (answer.status < 400 || answer.body["counted"] === true) await trial.undo();
      else refused.push(trouble);
    }
    wrong.push(...(await trial.changes({ body: {} })).map((row) => `${row}, by one of ${refused.join(", ")}`));
    expect(wrong).toEqual([]);
    expect(refused.length).toBeGreaterThan(2);
  });
});

describe("10 MB", () => {
  const megabytes = (): ReadableStream<Uint8Array> => {
    const chunk = new Uint8Array(100_000).fill(0x20);
    let left = 100;
    return new ReadableStream({
      pull(controller) {
        left -= 1;
        if (left < 0) controller.close();
        else controller.enqueue(chunk);
      },
    });
  };

  test("of no announced length are refused by every route that is not a page, and change nothing", async () => {
    const wrong: string[] = [];
    for (const operation of described.values()) {
      if (operation.method === "GET") continue;
      const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
      const answer = await callWith({}, pathOf(operation), { method: operation.method, headers, body: megabytes() });
      if (answer.status !== 413) wrong.push(`${nameOf(operation)}: ${answer.status}`);
      wrong.push(...unpromised(operation, answer));
    }
    expect([...wrong, ...(await trial.changes({ body: {} }))]).toEqual([]);
  });

  test("are no form, whatever page they are sent to", async () => {
    const browser = await signedIn();
    for (const page of PAGES.filter((each) => each.startsWith("POST "))) {
      const path = page.slice(5).replaceAll("{}", "mine");
      const answer = await browser.send(path, { form: { reason: "x".repeat(10_000_000) } });
      expect([path, answer.status]).toEqual([path, 413]);
    }
    expect(await trial.changes({ body: {} })).toEqual([]);
  });
});

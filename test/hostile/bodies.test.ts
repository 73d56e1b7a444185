/** Hostile bodies at every route, also at routes that expect none. */
import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { signedIn } from "../dashboard/support.ts";
import { PAGES, ROUTES, routeName } from "../routes/all-routes.ts";
import { ADMIN_TOKEN } from "../support/worker.ts";
import { callWith } from "../routes/support.ts";
import { answerViolations } from "./answers.ts";
import { hostileBodies } from "./bodies.ts";
import { nameOf, operations } from "./operations.ts";
import type { Operation } from "./operations.ts";
import { Trial } from "./trial.ts";
import { send } from "./world.ts";

const SOAK = env.TEST_SOAK === "true";
/** `npm test` sends each body to one route in three. `npm run test:soak` sends it to all. */
const SHARES = 3;

let trial: Trial;
let documentedOperations: ReadonlyMap<string, Operation>;

beforeAll(async () => {
  trial = await Trial.begin();
  documentedOperations = new Map((await operations()).map((operation) => [nameOf(operation), operation]));
});
beforeEach(() => {
  for (const level of ["log", "warn", "error"] as const) vi.spyOn(console, level).mockImplementation(() => undefined);
  return () => vi.restoreAllMocks();
});

/** The operation of the document for a route. */
const documented = (name: string): Operation => {
  const found = documentedOperations.get(name.replaceAll(/\{(organization|reservation|job)\}/gu, "{id}"));
  if (!found) throw new Error(`${name} is not in the document`);
  return found;
};

const pathOf = ({ path }: Operation): string => {
  const { names } = trial.world;
  return path.replaceAll(/\{(\w+)\}/gu, (_, name: string) => names[`${path.split("/")[2] ?? ""}.${name}`] ?? names[name] ?? "none");
};

const ROUTES_WITH_BODY = ROUTES.filter(({ body }) => body !== undefined).map(
  (route) => [routeName(route), route.body as Record<string, unknown>] as const,
);

describe("hostile bodies get documented answers, and refused ones change nothing", () => {
  test.each(ROUTES_WITH_BODY)("%s", async (name, validBody) => {
    const operation = documented(name);
    const failures: string[] = [];
    const refused: string[] = [];
    const [all, at] = [await hostileBodies(validBody), ROUTES_WITH_BODY.findIndex(([each]) => each === name)];
    for (const { name: kind, body, headers = {} } of all.filter((_, index) => SOAK || (index + at) % SHARES === 0)) {
      const answer = await send(trial.world, operation.method, { as: "admin", path: pathOf(operation), headers, body });
      failures.push(...answerViolations(operation, answer).map((reason) => `${kind}: ${reason}`));
      if (answer.status < 400 || answer.body["counted"] === true) await trial.undo();
      else refused.push(kind);
    }
    failures.push(...(await trial.changes({ body: {} })).map((row) => `${row}, by one of ${refused.join(", ")}`));
    expect(failures).toEqual([]);
    expect(refused.length).toBeGreaterThan(2);
  });
});

describe("bodies of 10 MB", () => {
  const megabytes = (): ReadableStream<Uint8Array> => {
    const chunk = new Uint8Array(100_000).fill(0x20);
    let remaining = 100;
    return new ReadableStream({
      pull(controller) {
        remaining -= 1;
        if (remaining < 0) controller.close();
        else controller.enqueue(chunk);
      },
    });
  };

  test("without an announced length are refused by every API route and change nothing", async () => {
    const failures: string[] = [];
    for (const operation of documentedOperations.values()) {
      if (operation.method === "GET") continue;
      const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
      const answer = await callWith({}, pathOf(operation), { method: operation.method, headers, body: megabytes() });
      if (answer.status !== 413) failures.push(`${nameOf(operation)}: ${answer.status}`);
      failures.push(...answerViolations(operation, answer));
    }
    expect([...failures, ...(await trial.changes({ body: {} }))]).toEqual([]);
  });

  test("are refused by every form", async () => {
    const browser = await signedIn();
    for (const page of PAGES.filter((each) => each.startsWith("POST "))) {
      const path = page.slice(5).replaceAll("{}", "mine");
      const answer = await browser.send(path, { form: { reason: "x".repeat(10_000_000) } });
      expect([path, answer.status]).toEqual([path, 413]);
    }
    expect(await trial.changes({ body: {} })).toEqual([]);
  });
});

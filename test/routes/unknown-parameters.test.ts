/** Unknown query parameters of every route. */
import { beforeAll, expect, test } from "vitest";
import { call, freshStart, get } from "../support/worker.ts";
import { ROUTES, addressOf, routeName } from "./all-routes.ts";

beforeAll(async () => freshStart());

/** Pages for people, and receivers of alerts, whose senders may add parameters. */
const ANY = /^GET \/$|^GET \/docs|^POST \/api\/monitoring\/(?:alertmanager|grafana|datadog)$/u;
const [open, closed] = [ROUTES.filter((route) => ANY.test(routeName(route))), ROUTES.filter((route) => !ANY.test(routeName(route)))];
const named = (routes: typeof ROUTES) => routes.map((route) => [routeName(route), route] as const);

test.each(named(closed))("%s refuses one and names it", async (_, route) => {
  const { status, body } = await call(route.method, `${addressOf(route)}?zzz=1`, route.body);
  expect({ status, body }).toMatchObject({
    status: 400,
    body: { code: "invalid_request", errors: [{ path: "zzz", message: "is not a known field" }] },
  });
});

test.each(named(open))("%s ignores one", async (_, route) => {
  const before = await call(route.method, addressOf(route), route.body);
  expect((await call(route.method, `${addressOf(route)}?zzz=1`, route.body)).status).toBe(before.status);
});

test.each(["toString", "constructor", "hasOwnProperty", "valueOf", "__proto__"])("the inherited name %s is unknown too", async (name) => {
  for (const path of ["/api/jobs", "/api/quota/status", "/health"]) {
    expect(await get(`${path}?${name}=1`)).toMatchObject({ status: 400, body: { errors: [{ path: name }] } });
  }
});

test.each([
  ["/api/jobs?stats=failed", "status"],
  ["/api/quota/history?day=3", "days"],
  ["/api/authors/top?limits=3", "limit"],
])("a typo in %s gets a suggestion", async (path, meant) => {
  expect((await get(path)).body["detail"]).toContain(`Did you mean \`${meant}\`?`);
});

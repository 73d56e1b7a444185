import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { signedIn } from "../dashboard/support.ts";
import { putBack, settledContents } from "../hostile/stores.ts";
import type { Contents } from "../hostile/stores.ts";
import { makeOrganization, makeProject, refusal, remove, right, stop } from "../support/tenants/http.ts";
import { ADMIN_TOKEN, call, freshStart, get, post, setClock, settings } from "../support/worker.ts";
import type { Answer } from "../support/worker.ts";
import { ROUTES, addressOf, routeName } from "./all-routes.ts";
import type { Route } from "./all-routes.ts";

const SCOPES = ["read", "enrich", "database", "admin"] as const;
const ALL = { name: "all", scopes: SCOPES };

interface Made {
  readonly id: string;
  readonly key: string;
}

/** Callers: a key or token, and the project in the path, if the route has one. */
interface Comer {
  readonly token: string | null;
  readonly project?: string;
  /** A key that belongs to the project in the path. */
  readonly keyId?: string;
  readonly headers?: Record<string, string>;
}

/** Each of these secrets opens one route, and nothing else. */
const OTHER_TOKENS: Record<string, string> = {
  "the metrics token": env.METRICS_TOKEN,
  "Alertmanager's token": env.ALERTMANAGER_TOKEN,
  "Datadog's token": env.DATADOG_TOKEN,
  "Grafana's secret": env.GRAFANA_SECRET,
  "the pepper": env.KEY_PEPPER,
  "the session's secret": env.SESSION_SECRET,
  "the provider's key": env.ISBNDB_API_KEY,
};

const OPENED: Record<string, string> = {
  "GET /metrics": "the metrics token",
  "POST /api/monitoring/alertmanager": "Alertmanager's token",
  "POST /api/monitoring/datadog": "Datadog's token",
};

let comers: Record<string, Comer>;

const makeKey = async (project: string, more: object): Promise<Made> => right(await post<Made>(`/api/projects/${project}/keys`, more));
const withoutScope = (scope: string) => ({ name: `no ${scope}`, scopes: SCOPES.filter((each) => each !== scope) });

let made: Contents;

beforeAll(async () => {
  await freshStart();
  await makeOrganization("org");
  const project = async (id: string): Promise<Comer> => {
    const { api_key } = await makeProject(id, { key: ALL });
    return { token: api_key.key, project: id, keyId: api_key.id };
  };
  const [mine, other] = [await project("mine"), await project("other")];
  const [stopped, archived, deleted] = [await project("stopped"), await project("archived"), await project("deleted")];
  const [capped, unready] = [await project("capped"), await project("unready")];
  const own = { project: "mine", keyId: mine.keyId ?? "" };

  const revoked = await makeKey("mine", ALL);
  right(await remove(`/api/projects/mine/keys/${revoked.id}`));
  const expired = await makeKey("mine", { ...ALL, expires_at: "2031-05-14T14:03:13Z" });
  const replaced = await makeKey("mine", ALL);
  right(await post(`/api/projects/mine/keys/${replaced.id}/rotate`, { immediate: true }));
  const outlived = await makeKey("mine", ALL);
  right(await post(`/api/projects/mine/keys/${outlived.id}/rotate`, {}));
  right(await post(`/api/projects/mine/keys/${outlived.id}/end-grace`));
  const inGrace = await makeKey("mine", ALL);
  right(await post(`/api/projects/mine/keys/${inGrace.id}/rotate`, {}));
  const lacking = Object.fromEntries(
    await Promise.all(
      SCOPES.map(async (scope) => [`without ${scope}`, { ...own, token: (await makeKey("mine", withoutScope(scope))).key }]),
    ),
  ) as Record<string, Comer>;
  // A well-formed key that was never created.
  const unknown = await makeKey("deleted", ALL);
  await setClock("2031-05-14T14:03:14Z");

  await stop("stopped", "abuse:ERROR_SPIKE");
  await stop("capped", "quota:storage_uploads_per_day");
  await env.DB.prepare("UPDATE projects SET provisioning = 'pending' WHERE id = 'unready'").run();
  right(await remove("/api/projects/archived"));
  right(await remove("/api/projects/deleted?permanent=true"));
  comers = {
    nobody: { token: null },
    "a wrong token": { token: "wrong-token-0123456789" },
    "a mistyped key": { ...own, token: `${mine.token?.slice(0, -1) ?? ""}${mine.token?.endsWith("0") === true ? "1" : "0"}` },
    "a key cut off": { ...own, token: mine.token?.slice(0, -8) ?? "" },
    "another project's key": { ...own, token: other.token },
    "a stopped project's key": stopped,
    "a capped project's key": capped,
    "an unready project's key": unready,
    "an archived project's key": archived,
    "a deleted project's key": { ...deleted, token: unknown.key },
    "a revoked key": { ...own, token: revoked.key },
    "an expired key": { ...own, token: expired.key },
    "a replaced key": { ...own, token: replaced.key },
    "a key whose grace is over": { ...own, token: outlived.key },
    "a key in its grace": { ...own, token: inGrace.key },
    ...Object.fromEntries(Object.entries(OTHER_TOKENS).map(([name, token]) => [name, { ...own, token }])),
    "an operator's cookie": { ...own, token: null, headers: { cookie: (await signedIn()).cookie } },
    "two tokens": { ...own, token: null, headers: { authorization: `Bearer ${ADMIN_TOKEN}, Bearer ${ADMIN_TOKEN}` } },
    ...lacking,
    "the right key": { ...own, token: mine.token },
    "the administrator": { ...own, token: ADMIN_TOKEN },
  };
  await makeOrganization("empty");
  made = await settledContents();
});

beforeEach(async () => {
  await putBack(made);
  await settings({ rate_per_second: 0 });
});

type Expected = Record<string, string>;

const UNAUTHORIZED = "401 unauthorized";
const FORBIDDEN = "403 forbidden";

const everyNoKey: Expected = Object.fromEntries(
  ["nobody", "a wrong token", "a mistyped key", "a key cut off", "a deleted project's key", "an operator's cookie", "two tokens"]
    .concat(Object.keys(OTHER_TOKENS))
    .map((name) => [name, UNAUTHORIZED]),
);
const endedKeys: Expected = Object.fromEntries(
  ["a revoked key", "an expired key", "a replaced key", "a key whose grace is over"].map((name) => [name, UNAUTHORIZED]),
);

/** Status in the contract for each caller. */
function expectedOf({ access, method }: Route, passes: string): Expected {
  const names = Object.keys(comers);
  const all = (answer: string): Expected => Object.fromEntries(names.map((name) => [name, answer]));
  if (access === "everybody") return all(passes);
  if (access === "admin") return { ...all(FORBIDDEN), ...everyNoKey, ...endedKeys, "the administrator": passes };
  // The admin token is the only general credential that works here. test/monitoring/ covers the sources' own secrets.
  if (typeof access === "string") return { ...all(UNAUTHORIZED), "the administrator": passes };
  const { scope, kind } = access;
  const stopped: Expected =
    kind === "use" || kind === "use-own"
      ? {
          "a stopped project's key": "403 project_suspended",
          "a capped project's key": "403 project_suspended",
          "an archived project's key": FORBIDDEN,
          "an unready project's key": "503 project_not_ready",
        }
      : {};
  const abusive: Expected = kind === "renew" ? { "a stopped project's key": "403 project_suspended" } : {};
  const isOwn = kind === "own" || kind === "renew";
  const closed: Expected = isOwn && method !== "GET" ? { "an archived project's key": FORBIDDEN } : {};
  const foreign: Expected = ["own", "renew", "use-own"].includes(kind) ? { "another project's key": "404 not_found" } : {};
  return { ...all(passes), ...everyNoKey, ...endedKeys, ...stopped, ...abusive, ...closed, ...foreign, [`without ${scope}`]: FORBIDDEN };
}

async function asks(route: Route, { token, project = "mine", keyId = "Aa00000000", headers = {} }: Comer): Promise<Answer> {
  // A project can have one running backup, and the test does not wait for its end.
  if (route.path.endsWith("/backups")) await env.DB.prepare("UPDATE backups SET status = 'failed' WHERE status = 'running'").run();
  const fresh = route.path.includes("{key_id}") ? await spareKey(project, keyId) : keyId;
  const answer = await call(route.method, addressOf(route, { id: project, key_id: fresh, organization: "empty" }), route.body, {
    token,
    headers,
  });
  // A project has a maximum number of keys.
  if (fresh !== keyId) await remove(`/api/projects/${project}/keys/${fresh}`);
  return answer;
}

/** A separate key to revoke. */
async function spareKey(project: string, keyId: string): Promise<string> {
  const made = await post<Made>(`/api/projects/${project}/keys`, { name: "spare", scopes: ["admin"] });
  return made.status === 201 ? made.body.id : keyId;
}

const told = ({ status, body }: Answer): string => {
  const code = typeof body === "object" ? body["code"] : undefined;
  return typeof code === "string" ? `${status} ${code}` : String(status);
};

describe("permissions", () => {
  test.each(ROUTES.map((route) => [routeName(route), route] as const))("%s", async (_, route) => {
    const passes = route.success === 404 ? "404 not_found" : String(route.success ?? 200);
    const answers: Expected = {};
    for (const [name, comer] of Object.entries(comers)) answers[name] = told(await asks(route, comer));
    // A project without a database.
    const unready: Expected =
      routeName(route) === "POST /api/projects/{id}/backups" ? { "an unready project's key": "503 project_not_ready" } : {};
    const opened = OPENED[routeName(route)];
    expect(answers).toEqual({ ...expectedOf(route, passes), ...unready, ...(opened === undefined ? {} : { [opened]: passes }) });
  });

  test("a suspended project gets the reason from every route that it may not use", async () => {
    const used = ROUTES.filter(({ access }) => typeof access === "object" && access.kind.startsWith("use"));
    for (const route of used) {
      const answer = await asks(route, comers["a stopped project's key"] ?? { token: null });
      expect(answer.body["reasons"]).toEqual([{ reason: "abuse:ERROR_SPIKE", since: "2031-05-14T14:03:14Z" }]);
    }
    expect(used.length).toBeGreaterThan(5);
  });

  test("a valid key gets 403 on the administrator's routes, with any scopes", async () => {
    for (const name of ["the right key", "without read", "another project's key", "a stopped project's key"]) {
      const answer = await get("/api/audit", { token: comers[name]?.token ?? null });
      expect({ name, detail: answer.body["detail"] }).toEqual({
        name,
        detail: "This request needs the admin token. A project's key is not enough.",
      });
    }
  });

  test("a missing project looks like the project of another owner", async () => {
    const token = comers["the right key"]?.token ?? null;
    const [foreign, none] = [await get("/api/projects/other", { token }), await get("/api/projects/nothing", { token })];
    expect(refusal(foreign)).toEqual({ status: 404, code: "not_found" });
    expect(String(foreign.body["detail"]).replace("other", "nothing")).toBe(none.body["detail"]);
  });
});

/** Decisions use one time, even if midnight passes between two reads of the clock. */
import { env } from "cloudflare:workers";
import { beforeEach, expect, test } from "vitest";
import { createDeps } from "../../../worker/src/deps.ts";
import { admitKey } from "../../../worker/src/tenants/limits/admission.ts";
import { readKey } from "../../../worker/src/tenants/keys/api-key.ts";
import { sweepPage } from "../../../worker/src/tenants/limits/sweep.ts";
import { freshStart } from "../../support/worker.ts";
import { count, rows } from "../../support/tenants/http.ts";
import { organization, tenant } from "../../support/tenants/keys.ts";
import { counters } from "../../support/tenants/rows.ts";

const MIDNIGHT = Date.parse("2031-05-15T00:00:00Z");

/** The first read is just before midnight, all others are just after it. */
function striking(): () => number {
  let looks = 0;
  return () => {
    looks += 1;
    return looks === 1 ? MIDNIGHT - 1 : MIDNIGHT + 1;
  };
}

beforeEach(async () => {
  await freshStart("2031-05-14T23:00:00Z");
  await organization("acme");
});

test("a use is admitted and counted in one day", async () => {
  const { key } = await tenant("shop", "acme", { caps: { function_invocations_per_day: 1 } });
  const presented = await readKey(key);
  if (presented === null) throw new Error("not a key");
  const use = { kind: "use", scope: "enrich", meter: "function_invocations_per_day" } as const;
  const { result } = await admitKey(createDeps(env, striking()), presented, use, () => undefined);
  expect([result, await counters()]).toEqual(["admitted", { "shop function_invocations_per_day 2031-05-14": 1 }]);
  const again = await admitKey(createDeps(env, striking()), presented, use, () => undefined);
  expect(again).toMatchObject({ result: "refused", refusal: { why: "cap", used: 1, resetAt: MIDNIGHT } });
});

test("a project that a sweep suspends for a day is released when that day ends", async () => {
  await tenant("shop", "acme", { caps: { storage_uploads_per_day: 10 } });
  await count("shop", "storage_uploads_per_day", 10);
  const whole = { run: "run", projectIds: null, capTypes: null, enforce: true };
  expect(await sweepPage(createDeps(env, striking()), whole, "")).toMatchObject({ swept: { projects_suspended: 1 } });
  expect(await rows("SELECT reason, since, until FROM suspensions")).toEqual([
    { reason: "quota:storage_uploads_per_day", since: MIDNIGHT - 1, until: MIDNIGHT },
  ]);
});

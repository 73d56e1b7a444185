/** Finds the principal of a request in the Authorization header. */
import { createMiddleware } from "hono/factory";
import type { KeyPrincipal, Principal } from "../http/access.ts";
import { inBackground } from "../http/background.ts";
import { bearerToken, countFailure } from "../http/guards.ts";
import type { AppContext, AppEnv } from "../http/index.ts";
import { sameSecret } from "../lib/same-secret.ts";
import { isoSeconds } from "../lib/time.ts";
import type { Demand } from "../store/limits/admissions.ts";
import { countRequestOfKey, minuteOf } from "../store/abuse/rates.ts";
import type { RequestCounts } from "../store/abuse/rates.ts";
import { admitKey, returnUse, recordKeyUse } from "../tenants/limits/admission.ts";
import { looksLikeKey, readKey, storedHash } from "../tenants/keys/api-key.ts";
import type { PresentedKey } from "../tenants/keys/api-key.ts";
import { admissionProblem } from "../tenants/limits/refusals.ts";

/** Sets the principal. Wrong credentials become an anonymous principal, because public routes need none. A key is not looked up here. */
export const authenticate = createMiddleware<AppEnv>(async function authenticate(c, next) {
  if (c.req.header("authorization") !== undefined) c.set("principal", await principalOf(c, bearerToken(c)));
  await next();
});

async function principalOf(c: AppContext, token: string | undefined): Promise<Principal> {
  if (token === undefined) return { kind: "anonymous", credentials: "wrong" };
  const key = await readKey(token);
  if (key) return { kind: "key", admit: async (demand) => admit(c, key, demand), count: async (tally) => count(c, key, tally) };
  if (await sameSecret(token, c.get("deps").config.adminToken)) return { kind: "admin" };
  return { kind: "anonymous", credentials: looksLikeKey(token) ? "mistyped" : "wrong" };
}

async function admit(c: AppContext, key: PresentedKey, demand: Demand): ReturnType<KeyPrincipal["admit"]> {
  const deps = c.get("deps");
  const returnInBackground = (id: string): void => inBackground(c, "Returning a refused use failed", returnUse(deps, id));
  const admission = await admitKey(deps, key, demand, returnInBackground);
  if (admission.result === "refused") {
    if (admission.refusal.why === "unknown_key") await countFailure(c);
    throw admissionProblem(admission.refusal);
  }
  const { caller } = admission;
  if (caller.versionEndsAt !== null) c.header("x-api-key-expires", isoSeconds(caller.versionEndsAt));
  inBackground(c, "Recording a key's last use failed", recordKeyUse(deps, caller));
  const { projectId, keyId, scopes, keyExpiresAt, share, shareMode, admissionId } = caller;
  return {
    project: { kind: "project", projectId, keyId, scopes, keyExpiresAt, share, shareMode },
    returnUse: () => {
      if (admissionId !== null) returnInBackground(admissionId);
    },
  };
}

/** Counts a response for the project of a key that was not looked up yet. */
async function count(c: AppContext, key: PresentedKey, tally: RequestCounts): Promise<void> {
  const { db, config, clock } = c.get("deps");
  const now = clock();
  const hash = await storedHash(key.digest, config.keyPepper);
  await countRequestOfKey(db, { id: key.id, hash, now }, minuteOf(now), tally);
}

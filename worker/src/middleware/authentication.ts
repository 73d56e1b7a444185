/** Who is asking, from the Authorization header. */
import { createMiddleware } from "hono/factory";
import type { KeyPrincipal, Principal } from "../http/access.ts";
import { countFailure } from "../http/guards.ts";
import type { AppContext, AppEnv } from "../http/index.ts";
import { errorFields, log } from "../lib/log.ts";
import { isoSeconds } from "../quota/window.ts";
import type { Demand } from "../store/admissions.ts";
import { admitKey, giveBack, noteUse } from "../tenants/admission.ts";
import { looksLikeKey, readKey } from "../tenants/api-key.ts";
import type { PresentedKey } from "../tenants/api-key.ts";
import { admissionProblem } from "../tenants/refusals.ts";

async function sameSecret(given: string, secret: string): Promise<boolean> {
  const encoder = new TextEncoder();
  const [a, b] = await Promise.all([given, secret].map(async (text) => crypto.subtle.digest("SHA-256", encoder.encode(text))));
  // Digests are of one length, so that the comparison tells nothing of the secret's.
  return a !== undefined && b !== undefined && crypto.subtle.timingSafeEqual(a, b);
}

/** Sets the principal. Wrong credentials are an anonymous principal: public routes need none. A key is only read here, not looked up. */
export const authenticate = createMiddleware<AppEnv>(async (c, next) => {
  const header = c.req.header("authorization");
  if (header !== undefined) c.set("principal", await principalOf(c, /^Bearer +(\S+)$/iu.exec(header)?.[1]));
  await next();
});

async function principalOf(c: AppContext, token: string | undefined): Promise<Principal> {
  if (token === undefined) return { kind: "anonymous", credentials: "wrong" };
  const key = await readKey(token);
  if (key) return { kind: "key", admit: async (demand) => admit(c, key, demand) };
  if (await sameSecret(token, c.get("deps").config.adminToken)) return { kind: "admin" };
  return { kind: "anonymous", credentials: looksLikeKey(token) ? "mistyped" : "wrong" };
}

async function admit(c: AppContext, key: PresentedKey, demand: Demand): ReturnType<KeyPrincipal["admit"]> {
  const deps = c.get("deps");
  const giveBackBeside = (id: string): void => beside(c, "A refused use could not be given back, and stays counted", giveBack(deps, id));
  const admission = await admitKey(deps, key, demand, giveBackBeside);
  if (admission.result === "refused") {
    if (admission.refusal.why === "unknown_key") await countFailure(c);
    throw admissionProblem(admission.refusal);
  }
  const { caller } = admission;
  if (caller.versionEndsAt !== null) c.header("x-api-key-expires", isoSeconds(caller.versionEndsAt));
  beside(c, "A key's last use could not be noted", noteUse(deps, caller));
  const { projectId, keyId, share, admissionId } = caller;
  return {
    project: { kind: "project", projectId, keyId, share },
    giveBack: () => {
      if (admissionId !== null) giveBackBeside(admissionId);
    },
  };
}

/** Work that no answer waits for. */
function beside(c: AppContext, failure: string, work: Promise<void>): void {
  c.executionCtx.waitUntil(work.catch((error: unknown) => log.error(failure, { request_id: c.get("requestId"), ...errorFields(error) })));
}

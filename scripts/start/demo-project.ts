/** Creates a demo organization, project and API key over the API. The key stays the same between runs. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "./user-error.js";

export const DEMO_PROJECT = "demo";

const ORGANIZATION = { id: "demo", name: "Demo Readers", quotas: { api_calls: 10_000 } };
const PROJECT = { id: DEMO_PROJECT, organization_id: ORGANIZATION.id, name: "Demo reading list", calls_per_day: 500 };
const KEY = { name: "npm start", mode: "test", scopes: ["read", "enrich", "database", "admin"] };

const CREATED = 201;
/** An earlier start created the project with the same request. */
const EXISTS = 200;
const CONFLICT = 409;

interface Place {
  readonly url: string;
  readonly adminToken: string;
  /** Folder of the local state. It also holds the database with this key. */
  readonly state: string;
}

/** API key of the demo project: the key of the first run, or a new one if that is lost or no longer works. */
export async function demoKey({ url, adminToken, state }: Place): Promise<string> {
  const keyFile = join(state, "demo-key");
  const send = async (path: string, body: object) =>
    fetch(`${url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${adminToken}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const create = async (path: string, body: object): Promise<Response | null> => {
    const answer = await send(path, body);
    if (answer.status === CREATED) return answer;
    if (answer.status === CONFLICT || answer.status === EXISTS) return null;
    throw new UserError(`Demo project not created: POST ${path} returned ${answer.status} ${await answer.text()}`);
  };

  await create("/api/organizations", ORGANIZATION);
  const project = await create("/api/projects", { ...PROJECT, key: KEY });
  const found = project ? null : readKey(keyFile);
  if (found !== null && (await works(url, found))) return found;
  const answer = project ?? (await create(`/api/projects/${DEMO_PROJECT}/keys`, KEY));
  if (!answer) throw new UserError(`Another project has the id ${DEMO_PROJECT}. Start with --no-demo.`);
  const key = keyIn(await answer.json());
  if (project) await untilReady(url, key);
  writeFileSync(keyFile, `${key}\n`, { mode: 0o600 });
  return key;
}

const READY_WITHIN_MS = 10_000;
const POLL_MS = 50;

/** Waits until the printed key works. After the timeout the key works later. */
async function untilReady(url: string, key: string): Promise<void> {
  for (let waited = 0; waited < READY_WITHIN_MS; waited += POLL_MS) {
    const answer = await fetch(`${url}/api/projects/${DEMO_PROJECT}`, { headers: { authorization: `Bearer ${key}` } });
    const { provisioning } = (await answer.json()) as { readonly provisioning?: { readonly status: string } };
    if (provisioning?.status !== "pending" && provisioning?.status !== "running") return;
    await sleep(POLL_MS);
  }
}

/** Whether the key still works. It may be revoked or hashed with a different pepper. */
async function works(url: string, key: string): Promise<boolean> {
  const answer = await fetch(`${url}/api/projects/${DEMO_PROJECT}`, { headers: { authorization: `Bearer ${key}` } });
  await answer.body?.cancel();
  return answer.ok;
}

function readKey(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim() || null;
  } catch {
    return null;
  }
}

interface CreateResponse {
  readonly key?: string;
  readonly api_key?: { readonly key: string };
}

function keyIn(response: unknown): string {
  const { key, api_key } = response as CreateResponse;
  return key ?? api_key?.key ?? "";
}

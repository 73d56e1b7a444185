/** A tenant to begin with, made over the API like any other: an organisation, a project, and a key that stays the same between runs. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Foreseen } from "./foreseen.js";

export const DEMO_PROJECT = "demo";

const ORGANIZATION = { id: "demo", name: "Demo Readers", quotas: { api_calls: 10_000 } };
const PROJECT = { id: DEMO_PROJECT, organization_id: ORGANIZATION.id, name: "Demo reading list", calls_per_day: 500 };
const KEY = { name: "npm start", mode: "test", scopes: ["read", "enrich", "database", "admin"] };

const CREATED = 201;
/** By the same request, at an earlier start. */
const CREATED_BEFORE = 200;
const TAKEN = 409;

interface Place {
  readonly url: string;
  readonly adminToken: string;
  /** Folder of this run's state: the database that knows the key lies there too. */
  readonly state: string;
}

/** The demo project's key: the one of the first run, or a new one where that is lost or does not work any more. */
export async function demoKey({ url, adminToken, state }: Place): Promise<string> {
  const kept = join(state, "demo-key");
  const send = async (path: string, body: object) =>
    fetch(`${url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${adminToken}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const created = async (path: string, body: object): Promise<Response | null> => {
    const answer = await send(path, body);
    if (answer.status === CREATED) return answer;
    if (answer.status === TAKEN || answer.status === CREATED_BEFORE) return null;
    throw new Foreseen(`The demo project could not be made: POST ${path} answered ${answer.status} ${await answer.text()}`);
  };

  await created("/api/organizations", ORGANIZATION);
  const made = await created("/api/projects", { ...PROJECT, key: KEY });
  const found = made ? null : readKept(kept);
  if (found !== null && (await works(url, found))) return found;
  const answer = made ?? (await created(`/api/projects/${DEMO_PROJECT}/keys`, KEY));
  if (!answer) throw new Foreseen(`The project ${DEMO_PROJECT} is in use otherwise; start with --no-demo.`);
  const key = keyIn(await answer.json());
  if (made) await untilReady(url, key);
  writeFileSync(kept, `${key}\n`, { mode: 0o600 });
  return key;
}

const READY_WITHIN_MS = 10_000;
const LOOK_EVERY_MS = 50;

/** What is printed is to work at once. Whatever keeps a job so long, the key works later. */
async function untilReady(url: string, key: string): Promise<void> {
  for (let waited = 0; waited < READY_WITHIN_MS; waited += LOOK_EVERY_MS) {
    const answer = await fetch(`${url}/api/projects/${DEMO_PROJECT}`, { headers: { authorization: `Bearer ${key}` } });
    const { provisioning } = (await answer.json()) as { readonly provisioning?: { readonly status: string } };
    if (provisioning?.status !== "pending" && provisioning?.status !== "running") return;
    await sleep(LOOK_EVERY_MS);
  }
}

/** It may have been revoked since, or hashed with another pepper. */
async function works(url: string, key: string): Promise<boolean> {
  const answer = await fetch(`${url}/api/projects/${DEMO_PROJECT}`, { headers: { authorization: `Bearer ${key}` } });
  await answer.body?.cancel();
  return answer.ok;
}

function readKept(path: string): string | null {
  try {
    return readFileSync(path, "utf8").trim() || null;
  } catch {
    return null;
  }
}

interface Made {
  readonly key?: string;
  readonly api_key?: { readonly key: string };
}

function keyIn(made: unknown): string {
  const { key, api_key } = made as Made;
  return key ?? api_key?.key ?? "";
}

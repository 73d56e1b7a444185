/** Projects with usage, and one sweep over them. */
import { env } from "cloudflare:workers";
import { createDeps } from "../../../worker/src/deps.ts";
import { CAP_TYPES } from "../../../worker/src/store/limits/meters.ts";
import type { CapType } from "../../../worker/src/store/limits/meters.ts";
import { sweepPage } from "../../../worker/src/tenants/limits/sweep.ts";
import type { SweepRequest, SweptPage } from "../../../worker/src/tenants/limits/sweep.ts";
import { get, post } from "../../support/worker.ts";

export const CAP = 1_000;
export const DAY = "2031-05-14";
export const GAUGE = "realtime_connections";

const deps = () => createDeps(env, () => Date.now());

export const organization = async (): Promise<void> => {
  await post("/api/organizations", { id: "org", name: "Organisation" });
};

export const project = async (id: string, caps: Record<string, number | null> = {}): Promise<void> => {
  const all = Object.fromEntries(CAP_TYPES.map((type) => [type, CAP]));
  const { status, body } = await post("/api/projects", { id, organization_id: "org", name: id, caps: { ...all, ...caps } });
  if (status !== 201) throw new Error(JSON.stringify(body));
};

export const use = async (id: string, type: CapType, used: number, day = DAY): Promise<void> => {
  if (type === GAUGE) {
    const sql = `INSERT INTO gauges (project_id, meter, level, set_at, set_by, set_in, updated_at) VALUES (?, ?, ?, 1, 'x', 'x', 1)
      ON CONFLICT DO UPDATE SET level = excluded.level`;
    await env.DB.prepare(sql).bind(id, type, used).run();
    return;
  }
  const sql = "INSERT INTO counters (project_id, meter, day, used) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET used = excluded.used";
  await env.DB.prepare(sql).bind(id, type, day, used).run();
};

const NOTHING: SweptPage = { projects_checked: 0, projects_suspended: 0, warnings_sent: 0, acted_on: 0, details: [], errors: [] };

let runs = 0;

/** A whole sweep. */
export const sweep = async (request: Partial<SweepRequest> = {}): Promise<SweptPage> => {
  runs += 1;
  const whole = { run: `run-${runs}`, projectIds: null, capTypes: null, enforce: true, ...request };
  let result = NOTHING;
  for (let after = ""; ;) {
    const page = await sweepPage(deps(), whole, after);
    if (page === null) return result;
    const { swept } = page;
    result = {
      projects_checked: result.projects_checked + swept.projects_checked,
      projects_suspended: result.projects_suspended + swept.projects_suspended,
      warnings_sent: result.warnings_sent + swept.warnings_sent,
      acted_on: result.acted_on + swept.acted_on,
      details: [...result.details, ...swept.details],
      errors: [...result.errors, ...swept.errors],
    };
    after = page.last;
  }
};

export const statusOf = async (id: string): Promise<unknown> => (await get(`/api/projects/${id}`)).body["status"];

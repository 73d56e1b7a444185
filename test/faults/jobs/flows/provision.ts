import { expect } from "vitest";
import { provision } from "../cells/provision.ts";
import { repair } from "../harness.ts";
import type { JobFlow, JobWorld } from "../harness.ts";
import { rowsOf } from "../rows.ts";
import { makeOrganization } from "../projects.ts";
import { resultOf } from "../../words.ts";
import { jobResult } from "../words.ts";

async function createProject(n: number, { send, settled, jobs }: JobWorld): Promise<string> {
  const answer = await send("POST", "/api/projects", { id: `shop-${n}`, organization_id: "org", name: "Shop" });
  await settled();
  const [project] = await rowsOf<{ provisioning: string }>("SELECT provisioning FROM projects WHERE id = ?", `shop-${n}`);
  return `${resultOf(answer)}, ${jobResult((await jobs("provision_project")).at(-1))}, ${project?.provisioning ?? "no project"}`;
}

export const provisionFlow: JobFlow = {
  table: provision,
  covered: ["d1: ", "step auth", "step realtime", "step storage"],
  prepare: makeOrganization,
  use: createProject,
  later: async (n, world) => {
    const repairs = await repair(world, 12);
    return `${await createProject(n, world)}${repairs}`;
  },
  check: async (n) => {
    const id = `shop-${n}`;
    expect(await rowsOf("SELECT count(*) AS n FROM api_keys WHERE project_id = ?", id)).toEqual([{ n: 1 }]);
    expect(await rowsOf("SELECT service, status FROM registrations WHERE project_id = ? ORDER BY service", id)).toEqual(
      ["auth", "realtime", "storage"].map((service) => ({ service, status: "local" })),
    );
    expect(await rowsOf("SELECT count(*) AS n FROM events WHERE project_id = ? AND type = 'project.provisioned'", id)).toEqual([{ n: 1 }]);
  },
};

import { expect } from "vitest";
import { withoutTheirJobs } from "../../../support/worker.ts";
import { restore } from "../cells/restore.ts";
import { repaired } from "../harness.ts";
import type { JobFlow, JobWorld } from "../harness.ts";
import { countOf, rowsOf } from "../raw.ts";
import { databaseOf, fillDatabase, makeOrganization, readyProject } from "../projects.ts";
import { tell } from "../../words.ts";

const stateOf = async (id: string): Promise<string> => {
  const [row] = await rowsOf<{ status: string }>("SELECT status FROM restores WHERE project_id = ?", id);
  return row?.status ?? "no restore";
};

async function told(n: number): Promise<string> {
  const { frozen, importing } = await databaseOf(`copy-${n}`).state();
  const content = importing ? "half loaded" : frozen ? "frozen" : await contentOf(`copy-${n}`);
  return `${await stateOf(`copy-${n}`)}; ${content}`;
}

/** Whether the only row is there. */
async function contentOf(id: string): Promise<string> {
  await databaseOf(id).freeze("look");
  const page = await databaseOf(id).survey({ freeze: "look", mode: "full", cursor: null });
  await databaseOf(id).thaw("look");
  return page.result === "page" && page.tables.some(({ rows }) => rows === 1) ? "the content is there" : "empty";
}

let backup = "";

async function asked(n: number, { ask, settled }: JobWorld): Promise<string> {
  const answer = await ask("POST", `/api/projects/shop/backups/${backup}/restore`, { project_id: `copy-${n}` });
  await settled();
  return `${tell(answer)}; ${await told(n)}`;
}

export const restoreFlow: JobFlow = {
  table: restore,
  elsewhere: ["d1: ", "tenant: ", "workflows: step"],
  prepare: async () => {
    await makeOrganization();
    // Its project is ready at once: how one waits for the other stands in test/tenants/backups/restore-provisioning.test.ts.
    withoutTheirJobs();
  },
  arrange: async (_, { ask, settled }) => {
    if (backup !== "") return;
    await readyProject("shop");
    await fillDatabase("shop");
    const made = await ask("POST", "/api/projects/shop/backups", {});
    backup = String(made.body["id"]);
    await settled();
  },
  use: asked,
  later: async (n, world) => {
    const repairs = await repaired(world, 15);
    return (await asked(n, world)) + repairs;
  },
  check: async (n) => {
    const id = `copy-${n}`;
    expect([await stateOf(id), await contentOf(id)]).toEqual(["completed", "the content is there"]);
    expect(await countOf("SELECT count(*) FROM events WHERE project_id = ? AND type = 'restore.completed'", id)).toBe(1);
    expect(await countOf("SELECT count(*) FROM api_keys WHERE project_id = ?", id)).toBe(1);
  },
};

import { expect } from "vitest";
import { withoutTheirJobs } from "../../../support/worker.ts";
import { restore } from "../cells/restore.ts";
import { repair } from "../harness.ts";
import type { JobFlow, JobWorld } from "../harness.ts";
import { countOf, rowsOf } from "../rows.ts";
import { databaseOf, fillDatabase, makeOrganization, readyProject } from "../projects.ts";
import { resultOf } from "../../words.ts";

const stateOf = async (id: string): Promise<string> => {
  const [row] = await rowsOf<{ status: string }>("SELECT status FROM restores WHERE project_id = ?", id);
  return row?.status ?? "no restore";
};

async function restoreState(n: number): Promise<string> {
  const { frozen, importing } = await databaseOf(`copy-${n}`).state();
  const content = importing ? "half loaded" : frozen ? "frozen" : await contentOf(`copy-${n}`);
  return `${await stateOf(`copy-${n}`)}, ${content}`;
}

/** Describes the content: restored if its only row exists. */
async function contentOf(id: string): Promise<string> {
  await databaseOf(id).freeze("look");
  const page = await databaseOf(id).survey({ freeze: "look", mode: "full", cursor: null });
  await databaseOf(id).thaw("look");
  return page.result === "page" && page.tables.some(({ rows }) => rows === 1) ? "content restored" : "empty";
}

let backup = "";

async function requestRestore(n: number, { send, settled }: JobWorld): Promise<string> {
  const answer = await send("POST", `/api/projects/shop/backups/${backup}/restore`, { project_id: `copy-${n}` });
  await settled();
  return `${resultOf(answer)}, ${await restoreState(n)}`;
}

export const restoreFlow: JobFlow = {
  table: restore,
  covered: ["d1: ", "tenant: ", "workflows: step"],
  prepare: async () => {
    await makeOrganization();
    // The new project needs no provisioning. test/tenants/backups/restore-provisioning.test.ts covers provisioning.
    withoutTheirJobs();
  },
  arrange: async (_, { send, settled }) => {
    if (backup !== "") return;
    await readyProject("shop");
    await fillDatabase("shop");
    const made = await send("POST", "/api/projects/shop/backups", {});
    backup = String(made.body["id"]);
    await settled();
  },
  use: requestRestore,
  later: async (n, world) => {
    const repairs = await repair(world, 15);
    return (await requestRestore(n, world)) + repairs;
  },
  check: async (n) => {
    const id = `copy-${n}`;
    expect([await stateOf(id), await contentOf(id)]).toEqual(["completed", "content restored"]);
    expect(await countOf("SELECT count(*) FROM events WHERE project_id = ? AND type = 'restore.completed'", id)).toBe(1);
    expect(await countOf("SELECT count(*) FROM api_keys WHERE project_id = ?", id)).toBe(1);
  },
};

import { expect } from "vitest";
import { rotateKey } from "../cells/rotate-key.ts";
import { repaired } from "../harness.ts";
import type { JobFlow, JobWorld } from "../harness.ts";
import { rowsOf } from "../raw.ts";
import { makeOrganization, readyProject } from "../projects.ts";
import { endOf } from "../words.ts";

interface Version {
  readonly version: number;
  readonly grace_ended_at: number | null;
}

const keyOf = async (n: number): Promise<string> =>
  String((await rowsOf("SELECT id FROM api_keys WHERE project_id = ?", `shop-${n}`))[0]?.["id"]);

async function told(n: number, { jobs }: JobWorld): Promise<string> {
  const versions = await rowsOf<Version>(
    "SELECT version, grace_ended_at FROM api_key_versions WHERE key_id = ? ORDER BY version",
    await keyOf(n),
  );
  const count = `${versions.length} version${versions.length === 1 ? "" : "s"}`;
  const ended = versions[0]?.grace_ended_at ? ", the first has ended" : "";
  return `${endOf((await jobs("rotate_key")).at(-1))}; ${count}${ended}`;
}

export const rotateKeyFlow: JobFlow = {
  table: rotateKey,
  elsewhere: ["d1: SELECT"],
  prepare: makeOrganization,
  arrange: async (n, { ask }) => {
    await readyProject(`shop-${n}`);
    await ask("POST", `/api/projects/shop-${n}/keys`, { name: "one" });
  },
  use: async (n, world) => {
    const payload = { key_id: await keyOf(n), new_key_sha256: String(n).padStart(64, "0") };
    await world.ask("POST", "/api/jobs", { type: "rotate_key", payload });
    await world.settled();
    return told(n, world);
  },
  later: async (n, world) => {
    const failed = (await world.jobs("rotate_key")).find(({ status }) => status === "failed");
    if (failed) await world.ask("POST", `/api/jobs/${failed.id}/retry`);
    await world.settled();
    const repairs = await repaired(world, 120);
    return `${failed ? "retried: " : ""}${await told(n, world)}${repairs}`;
  },
  check: async (n) => {
    expect(await rowsOf("SELECT type FROM events WHERE project_id = ? ORDER BY seq", `shop-${n}`)).toEqual([
      { type: "key.rotated" },
      { type: "key.grace_ended" },
    ]);
  },
};

import { expect } from "vitest";
import { rotateKey } from "../cells/rotate-key.ts";
import { repair } from "../harness.ts";
import type { JobFlow, JobWorld } from "../harness.ts";
import { rowsOf } from "../rows.ts";
import { makeOrganization, readyProject } from "../projects.ts";
import { jobResult } from "../words.ts";

interface Version {
  readonly version: number;
  readonly grace_ended_at: number | null;
}

const keyOf = async (n: number): Promise<string> =>
  String((await rowsOf("SELECT id FROM api_keys WHERE project_id = ?", `shop-${n}`))[0]?.["id"]);

async function rotationResult(n: number, { jobs }: JobWorld): Promise<string> {
  const versions = await rowsOf<Version>(
    "SELECT version, grace_ended_at FROM api_key_versions WHERE key_id = ? ORDER BY version",
    await keyOf(n),
  );
  const count = `${versions.length} version${versions.length === 1 ? "" : "s"}`;
  const ended = versions[0]?.grace_ended_at ? ", the first ended" : "";
  return `${jobResult((await jobs("rotate_key")).at(-1))}, ${count}${ended}`;
}

export const rotateKeyFlow: JobFlow = {
  table: rotateKey,
  covered: ["d1: SELECT"],
  prepare: makeOrganization,
  arrange: async (n, { send }) => {
    await readyProject(`shop-${n}`);
    await send("POST", `/api/projects/shop-${n}/keys`, { name: "one" });
  },
  use: async (n, world) => {
    const payload = { key_id: await keyOf(n), new_key_sha256: String(n).padStart(64, "0") };
    await world.send("POST", "/api/jobs", { type: "rotate_key", payload });
    await world.settled();
    return rotationResult(n, world);
  },
  later: async (n, world) => {
    const failed = (await world.jobs("rotate_key")).find(({ status }) => status === "failed");
    if (failed) await world.send("POST", `/api/jobs/${failed.id}/retry`);
    await world.settled();
    const repairs = await repair(world, 120);
    return `${failed ? "retried: " : ""}${await rotationResult(n, world)}${repairs}`;
  },
  check: async (n) => {
    expect(await rowsOf("SELECT type FROM events WHERE project_id = ? ORDER BY seq", `shop-${n}`)).toEqual([
      { type: "key.rotated" },
      { type: "key.grace_ended" },
    ]);
  },
};

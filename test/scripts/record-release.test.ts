import { describe, expect, it } from "vitest";
import { run } from "../support/node/process.ts";

const SCRIPT = "scripts/record-release.ts";

describe("npm run record-release refuses", () => {
  it("the name of an existing recording", async () => {
    const { code, output } = await run([SCRIPT, "0010"]);
    expect(output.trim()).toBe("test/upgrade/releases/0010.json already exists. Recordings are never overwritten.");
    expect(code).toBe(1);
  });

  it("the name of another release", async () => {
    const { code, output } = await run([SCRIPT, "0006"]);
    expect(output).toMatch(/^NAME must be the number of the newest migration, \d{4} \(got "0006"\)\. /u);
    expect(code).toBe(1);
  });
});

import { describe, expect, it } from "vitest";
import { run } from "../support/node/process.ts";

const SCRIPT = "scripts/record-release.ts";

describe("npm run record-release records nothing", () => {
  it("under a name that a recording has: none is ever changed", async () => {
    const { code, output } = await run([SCRIPT, "0010"]);
    expect(output.trim()).toBe("test/upgrade/releases/0010.json is there, and a recording never changes.");
    expect(code).toBe(1);
  });

  it("of a release that is not the one that stands here", async () => {
    const { code, output } = await run([SCRIPT, "0006"]);
    expect(output).toMatch(/^The name is "0006"; expected the number of the newest migration, \d{4}\. /u);
    expect(code).toBe(1);
  });
});

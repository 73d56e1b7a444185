/* oxlint-disable vitest/no-standalone-expect -- the rule does not recognize an extended test function */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { describe, expect } from "vitest";
import type { HarvestDesk } from "../support/node/harvest.ts";
import { refusal } from "../support/node/harvest-server.ts";
import type { HarvestServer } from "../support/node/harvest-server.ts";
import { it } from "../support/node/harvest-test.ts";

const people = (desk: HarvestDesk): string => `--authors=${desk.list(["Anna", "Bert", "Cleo"])}`;

/** Stops the run at Bert. */
async function stoppedAtBert(server: HarvestServer, desk: HarvestDesk, ...options: string[]): Promise<void> {
  server.script.set("Bert", [refusal(401, "unauthorized")]);
  await desk.run(people(desk), ...options);
  expect(desk.saved()).toMatchObject({ settled: 1 });
}

/** Simulates a full disk. */
function fillTheDisk(desk: HarvestDesk): void {
  if (existsSync("/dev/full")) symlinkSync("/dev/full", `${desk.checkpoint}.tmp`);
  else mkdirSync(`${desk.checkpoint}.tmp`);
}

describe.concurrent("the checkpoint", () => {
  it("survives a full disk, and the run can be resumed", async ({ server, desk }) => {
    server.script.set("Bert", [{ ...refusal(503, "quota_unavailable"), before: () => fillTheDisk(desk) }]);
    const full = await desk.run(people(desk));
    expect(full.output).toMatch(/Cannot write .* \((ENOSPC|EISDIR).*\)\. The previous version remains\./u);
    expect(full.code).toBe(1);
    expect(desk.saved()).toMatchObject({ settled: 1, processed: 1 });
    rmSync(`${desk.checkpoint}.tmp`, { recursive: true });
    expect((await desk.run("--resume")).code).toBe(0);
    expect(desk.saved()).toMatchObject({ settled: 3, totals: { books: 9 } });
  });

  it("that is unwritable stops the run before the first call", async ({ server, desk }) => {
    fillTheDisk(desk);
    const { code, output } = await desk.run(people(desk));
    expect(output).toMatch(/Cannot write/u);
    const nowhere = await desk.run(people(desk), `--checkpoint=${desk.folder}/nowhere/checkpoint.json`);
    expect(nowhere.output).toContain("does not exist");
    expect([code, nowhere.code, server.asked.length]).toEqual([1, 1, 0]);
  });

  it.for(["", '{"version": 1, "settled', '{"version":1}', "[]"])("that is damaged (%j) is not changed", async (text, { desk }) => {
    desk.write("checkpoint.json", text);
    for (const option of ["--resume", "--retry-failed", people(desk)]) {
      const { code, output } = await desk.run(option);
      expect(output).toContain("is damaged");
      expect(code).toBe(1);
    }
    expect(readFileSync(desk.checkpoint, "utf8")).toBe(text);
    expect((await desk.run(people(desk), "--force")).code).toBe(0);
    expect(readFileSync(`${desk.checkpoint}.damaged`, "utf8")).toBe(text);
  });

  it("with inconsistent numbers is damaged too", async ({ server, desk }) => {
    await stoppedAtBert(server, desk);
    const saved = desk.saved();
    for (const wrong of [{ settled: 99 }, { processed: 7 }, { unfinished: { index: 9, author: "x", books: 0, pages: 0 } }]) {
      desk.write("checkpoint.json", JSON.stringify({ ...saved, ...wrong }));
      const { code, output } = await desk.run("--resume");
      expect(output).toContain("its numbers are inconsistent");
      expect(code).toBe(1);
    }
  });

  it("that is a folder is not renamed", async ({ desk }) => {
    mkdirSync(desk.checkpoint);
    const { code, output } = await desk.run(people(desk), "--force");
    expect(output).toContain("is not a file");
    expect({ code, there: existsSync(desk.checkpoint) }).toEqual({ code: 1, there: true });
  });

  it("of a later version is not changed", async ({ desk }) => {
    desk.write("checkpoint.json", '{"version": 2}');
    const { code, output } = await desk.run("--resume");
    expect(output).toContain("must be a checkpoint of version 1 (got version 2).");
    expect(code).toBe(1);
  });

  it("without its original list of authors is not resumed", async ({ server, desk }) => {
    await stoppedAtBert(server, desk);
    const list = readdirSync(desk.folder).find((name) => name.startsWith("checkpoint.json.authors-")) ?? "";
    desk.write(list, "Zoe\n");
    expect((await desk.run("--resume")).output).toContain("has changed");
    rmSync(`${desk.folder}/${list}`);
    expect((await desk.run("--resume")).output).toMatch(/Cannot read .* \(ENOENT/u);
    expect(server.asked).toEqual(["Anna", "Bert"]);
  });

  it("that exists is only replaced with --force, including its list", async ({ server, desk }) => {
    await stoppedAtBert(server, desk);
    const { code, output } = await desk.run("--author=Zoe");
    expect(output).toMatch(/1 of 3 authors settled\)\. Pass --resume to continue it, or --force to replace it\.\n$/u);
    expect(code).toBe(1);
    expect((await desk.run("--author=Zoe", "--force")).code).toBe(0);
    expect(desk.saved()).toMatchObject({ settled: 1, totals: { authors: 1 } });
    expect(readdirSync(desk.folder).filter((name) => name.includes("authors-"))).toHaveLength(1);
  });

  it("in use by another harvest is refused until that one ends", async ({ server, desk }) => {
    server.hold = new Promise(() => undefined);
    const first = desk.start(people(desk));
    await server.askedFor(1);
    for (const options of [["--resume"], [people(desk), "--force"]]) {
      const { code, output } = await desk.run(...options);
      expect(output).toContain("is in use by another harvest");
      expect(code).toBe(1);
    }
    await first.stop("SIGKILL");
    server.hold = null;
    expect((await desk.run("--resume")).code).toBe(0);
  });
});

describe.concurrent("--resume", () => {
  it.for<readonly [string[], RegExp]>([
    [["--tier=top-100"], /The checkpoint is for --authors \S+authors\.txt, not --tier top-100\./u],
    [["--author=Zoe"], /is for --authors \S+, not --author "Zoe"\./u],
    [["--max-pages=4"], /is for --max-pages 3, not --max-pages 4\./u],
    [["--base-url=http://127.0.0.1:1"], /is for --base-url http:\S+, not http:\/\/127\.0\.0\.1:1 /u],
  ])("refuses %j and names both values", async ([options, sentence], { server, desk }) => {
    await stoppedAtBert(server, desk, "--max-pages=3");
    const { code, output } = await desk.run("--resume", ...options);
    expect(output).toMatch(sentence);
    expect(code).toBe(1);
    expect(server.asked).toEqual(["Anna", "Bert"]);
  });

  it("needs no other option and accepts the same ones", async ({ server, desk }) => {
    await stoppedAtBert(server, desk, "--max-pages=3");
    const { code } = await desk.run("--resume", people(desk), "--max-pages=3");
    expect(code).toBe(0);
    expect(Math.max(...server.bodies.map(({ max_pages }) => max_pages))).toBe(3);
    const finished = await desk.run("--resume");
    expect(finished.output).toContain("3 of 3 authors done");
    expect(finished.code).toBe(0);
  });

  it("keeps the original list when the file has changed, with a warning", async ({ server, desk }) => {
    await stoppedAtBert(server, desk);
    const { code, output } = await desk.run("--resume", `--authors=${desk.list(["Anna", "Zoe"])}`);
    expect(output).toContain("has changed. The run continues with the original list.");
    expect(code).toBe(0);
    expect(server.asked).not.toContain("Zoe");
  });

  it("without a checkpoint fails", async ({ desk }) => {
    const { code, output } = await desk.run("--resume");
    expect(output).toMatch(/^Checkpoint \S+ not found\. Omit --resume to start a new run\.\n$/u);
    expect(code).toBe(1);
  });
});

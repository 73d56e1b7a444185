/* oxlint-disable vitest/no-standalone-expect -- the rule does not know a test function that was extended */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { describe, expect } from "vitest";
import type { HarvestDesk } from "../support/node/harvest.ts";
import { refusal } from "../support/node/harvest-server.ts";
import type { HarvestServer } from "../support/node/harvest-server.ts";
import { it } from "../support/node/harvest-test.ts";

const people = (desk: HarvestDesk): string => `--authors=${desk.list(["Anna", "Bert", "Cleo"])}`;

/** Bert ends the run. */
async function stoppedAtBert(server: HarvestServer, desk: HarvestDesk, ...options: string[]): Promise<void> {
  server.script.set("Bert", [refusal(401, "unauthorized")]);
  await desk.run(people(desk), ...options);
  expect(desk.saved()).toMatchObject({ settled: 1 });
}

/** A disk on which nothing more fits, or what comes nearest to it. */
function fillTheDisk(desk: HarvestDesk): void {
  if (existsSync("/dev/full")) symlinkSync("/dev/full", `${desk.checkpoint}.tmp`);
  else mkdirSync(`${desk.checkpoint}.tmp`);
}

describe.concurrent("the checkpoint", () => {
  it("is kept where the disk fills up: the run ends with what was saved before, and can go on", async ({ server, desk }) => {
    server.script.set("Bert", [{ ...refusal(503, "quota_unavailable"), before: () => fillTheDisk(desk) }]);
    const full = await desk.run(people(desk));
    expect(full.output).toMatch(/could not be written \((ENOSPC|EISDIR).*\); the one written before is still there\./u);
    expect(full.code).toBe(1);
    expect(desk.saved()).toMatchObject({ settled: 1, processed: 1 });
    rmSync(`${desk.checkpoint}.tmp`, { recursive: true });
    expect((await desk.run("--resume")).code).toBe(0);
    expect(desk.saved()).toMatchObject({ settled: 3, totals: { books: 9 } });
  });

  it("that cannot be written at all stops the run before anything is spent", async ({ server, desk }) => {
    fillTheDisk(desk);
    const { code, output } = await desk.run(people(desk));
    expect(output).toMatch(/could not be written/u);
    const nowhere = await desk.run(people(desk), `--checkpoint=${desk.folder}/nowhere/checkpoint.json`);
    expect(nowhere.output).toContain("there is no folder");
    expect([code, nowhere.code, server.asked.length]).toEqual([1, 1, 0]);
  });

  it.for(["", '{"version": 1, "settled', '{"version":1}', "[]"])("that is damaged (%j) is left as it is", async (text, { desk }) => {
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

  it("whose numbers contradict one another is damaged too", async ({ server, desk }) => {
    await stoppedAtBert(server, desk);
    const saved = desk.saved();
    for (const wrong of [{ settled: 99 }, { processed: 7 }, { unfinished: { index: 9, author: "x", books: 0, pages: 0 } }]) {
      desk.write("checkpoint.json", JSON.stringify({ ...saved, ...wrong }));
      const { code, output } = await desk.run("--resume");
      expect(output).toContain("its numbers contradict one another");
      expect(code).toBe(1);
    }
  });

  it("that is a folder is not moved aside", async ({ desk }) => {
    mkdirSync(desk.checkpoint);
    const { code, output } = await desk.run(people(desk), "--force");
    expect(output).toContain("which is no file");
    expect({ code, there: existsSync(desk.checkpoint) }).toEqual({ code: 1, there: true });
  });

  it("of a later version is not touched", async ({ desk }) => {
    desk.write("checkpoint.json", '{"version": 2}');
    const { code, output } = await desk.run("--resume");
    expect(output).toContain("is a checkpoint of version 2; this harvest reads version 1.");
    expect(code).toBe(1);
  });

  it("whose list of authors is gone or changed is not gone on with", async ({ server, desk }) => {
    await stoppedAtBert(server, desk);
    const list = readdirSync(desk.folder).find((name) => name.startsWith("checkpoint.json.authors-")) ?? "";
    desk.write(list, "Zoe\n");
    expect((await desk.run("--resume")).output).toContain("was changed since");
    rmSync(`${desk.folder}/${list}`);
    expect((await desk.run("--resume")).output).toContain("could not be read (ENOENT");
    expect(server.asked).toEqual(["Anna", "Bert"]);
  });

  it("that exists is replaced only with --force, and leaves no old list behind", async ({ server, desk }) => {
    await stoppedAtBert(server, desk);
    const { code, output } = await desk.run("--author=Zoe");
    expect(output).toMatch(/1 of 3 authors settled; --resume goes on with it, --force starts anew over it\.\n$/u);
    expect(code).toBe(1);
    expect((await desk.run("--author=Zoe", "--force")).code).toBe(0);
    expect(desk.saved()).toMatchObject({ settled: 1, totals: { authors: 1 } });
    expect(readdirSync(desk.folder).filter((name) => name.includes("authors-"))).toHaveLength(1);
  });

  it("that another harvest is using is refused, and free again when that one was killed", async ({ server, desk }) => {
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
    [["--tier=top-100"], /The checkpoint belongs to --authors \S+authors\.txt, and not to --tier top-100;/u],
    [["--author=Zoe"], /belongs to --authors \S+, and not to --author "Zoe";/u],
    [["--max-pages=4"], /begun with --max-pages 3, and not with --max-pages 4;/u],
    [["--base-url=http://127.0.0.1:1"], /belongs to --base-url http:\S+, and not to http:\/\/127\.0\.0\.1:1 /u],
  ])("refuses %j, naming both", async ([options, sentence], { server, desk }) => {
    await stoppedAtBert(server, desk, "--max-pages=3");
    const { code, output } = await desk.run("--resume", ...options);
    expect(output).toMatch(sentence);
    expect(code).toBe(1);
    expect(server.asked).toEqual(["Anna", "Bert"]);
  });

  it("needs no other option, and takes the same ones", async ({ server, desk }) => {
    await stoppedAtBert(server, desk, "--max-pages=3");
    const { code } = await desk.run("--resume", people(desk), "--max-pages=3");
    expect(code).toBe(0);
    expect(Math.max(...server.bodies.map(({ max_pages }) => max_pages))).toBe(3);
    const finished = await desk.run("--resume");
    expect(finished.output).toContain("3 of 3 authors done");
    expect(finished.code).toBe(0);
  });

  it("keeps the list as it was when the file has changed, and says so", async ({ server, desk }) => {
    await stoppedAtBert(server, desk);
    const { code, output } = await desk.run("--resume", `--authors=${desk.list(["Anna", "Zoe"])}`);
    expect(output).toContain("was changed since; the run goes on with the list as it was.");
    expect(code).toBe(0);
    expect(server.asked).not.toContain("Zoe");
  });

  it("without a checkpoint says so", async ({ desk }) => {
    const { code, output } = await desk.run("--resume");
    expect(output).toMatch(/^There is no checkpoint \S+ to go on with; leave --resume out to begin one\.\n$/u);
    expect(code).toBe(1);
  });
});

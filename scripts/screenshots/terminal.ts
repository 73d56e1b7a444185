/** Output of `npm start` as a page, for the screenshot of the terminal. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT } from "../start/places.ts";

/** End of the last example command. */
const LAST_LINE = `"refresh":true}'`;
const WITHIN_MS = 60_000;
const COLUMNS = 82;

/** First output, with control codes of bold and dim text. Throws after a timeout. */
async function firstScreen(port: number): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "terminal-"));
  const options = [`--port=${port}`, `--simulator-port=${port + 1}`, `--state=${join(folder, "state")}`, `--vars=${join(folder, "vars")}`];
  const env = { ...process.env, FORCE_COLOR: "1" };
  const child = spawn(process.execPath, ["scripts/start.ts", ...options], { cwd: ROOT, env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  try {
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    const giveUpAt = performance.now() + WITHIN_MS;
    while (!output.includes(LAST_LINE)) {
      if (child.exitCode !== null || performance.now() > giveUpAt) throw new Error(`npm start did not start:\n${output}`);
      await sleep(100);
    }
    // Shows the default ports and folder.
    return output
      .replaceAll(`:${port}`, ":8787")
      .replaceAll(`:${port + 1}`, ":8788")
      .replaceAll(join(folder, "state"), ".state");
  } finally {
    child.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }
}

const ESCAPED: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
const ESC = String.fromCodePoint(27);

function htmlOf(screen: string): string {
  return screen
    .replaceAll(/[&<>]/gu, (character) => ESCAPED[character] ?? "")
    .replaceAll(`${ESC}[1m`, "<b>")
    .replaceAll(`${ESC}[2m`, "<b class=dim>")
    .replaceAll(`${ESC}[22m`, "</b>");
}

const STYLE = `body{margin:0;background:#11151c}pre{margin:0;padding:28px 32px;width:${COLUMNS}ch;color:#d6dbe4;
font:15px/1.5 "DejaVu Sans Mono",Menlo,Consolas,monospace}b{color:#fff}.dim{font-weight:400;color:#8b94a3}`;

/** HTML page with the output. Uses `port` and the next port while it runs. */
export async function terminalPage(port: number): Promise<string> {
  const screen = htmlOf(`${ESC}[2m$${ESC}[22m npm start\n${await firstScreen(port)}`);
  return `<!doctype html><meta charset="utf-8"><style>${STYLE}</style><pre>${screen}</pre>`;
}

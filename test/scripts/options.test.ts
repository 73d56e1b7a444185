import { describe, expect, it } from "vitest";
import { PATH, address, helpOf, numberFrom, oneOf, readOptions, text, wholeFrom } from "../../scripts/lib/options.ts";
import { run } from "../support/node/process.ts";

const LINE = {
  command: "npm run example",
  about: "Shows how a command line is read.",
  options: {
    port: { value: "N", kind: wholeFrom(1, 100), help: "a port" },
    pause: { value: "S", kind: numberFrom(0.5, 10), help: "a pause" },
    file: { value: "FILE", kind: PATH, help: "a file" },
    name: {
      value: "NAME",
      kind: text("a name"),
      many: true,
      help: "a name; may be repeated, and has an explanation longer than one line is",
    },
    size: { value: "SIZE", kind: oneOf(["small", "large"]), help: "a size" },
    url: { value: "URL", kind: address("https://example.com"), help: "an address" },
    loud: { help: "a switch" },
  },
} as const;
const read = (...args: string[]) => readOptions(LINE, args)?.values;

describe("options", () => {
  it("are read with their types; switches are off, and the rest is left out", () => {
    expect(read()).toEqual({ loud: false });
    expect(read("--port", "7", "--pause=0.5", "--file=-", "--size", "large", "--url=https://x.example/a/", "--loud")).toEqual({
      port: 7,
      pause: 0.5,
      file: "-",
      size: "large",
      url: "https://x.example/a",
      loud: true,
    });
    expect(read("--name=Anna", "--name", "Bert", "--name=--Cleo")).toEqual({ name: ["Anna", "Bert", "--Cleo"], loud: false });
  });

  it.each([
    [
      ["--prot=7"],
      "Unknown option --prot; expected one of --port, --pause, --file, --name, --size, --url, --loud, --help (npm run example",
    ],
    [["--constructor"], "Unknown option --constructor; "],
    [["-p", "7"], "Unknown option -p; "],
    [["--port"], "--port has no value; expected a whole number from 1 to 100."],
    [["--port", "--loud"], "--port has no value; expected a whole number from 1 to 100."],
    [["--port", "-1"], '--port is "-1"; expected a whole number from 1 to 100.'],
    [["--port=1.0"], '--port is "1.0"; expected a whole number from 1 to 100.'],
    [["--port=101"], '--port is "101"; expected a whole number from 1 to 100.'],
    [["--pause=0.4"], '--pause is "0.4"; expected a number from 0.5 to 10.'],
    [["--file="], '--file is ""; expected a path.'],
    [["--size=huge"], '--size is "huge"; expected one of small, large.'],
    [["--url=example.com"], '--url is "example.com"; expected an address such as https://example.com.'],
    [["--loud=no"], '--loud is given the value "no"; expected no value.'],
    [["7"], 'Unexpected argument "7"; write options after "--": npm run example -- --port N'],
  ])("%j is refused: the option, the value, and what is accepted", (args, message) => {
    expect(() => read(...args)).toThrow(message);
  });

  it("ask for help, whatever else is wrong", () => {
    expect([read("--port=x", "--help"), read("-h")]).toEqual([undefined, undefined]);
  });

  it("are explained in two columns", () => {
    expect(helpOf(LINE).split("\n").slice(0, 10)).toEqual([
      "npm run example -- [options]",
      "",
      "Shows how a command line is read.",
      "",
      "  --port N     a port",
      "  --pause S    a pause",
      "  --file FILE  a file",
      "  --name NAME  a name; may be repeated, and has an explanation longer than one",
      "               line is",
      "  --size SIZE  a size",
    ]);
  });
});

it.each(["start", "deploy", "smoke", "bulk-author-harvest", "bench", "record-release", "screenshots"])(
  "scripts/%s.ts --help fits on a terminal of 80 columns",
  async (name) => {
    const { code, output } = await run([`scripts/${name}.ts`, "--help"]);
    expect(output).toMatch(/^npm (start|run [\w-]+) -- /u);
    expect(output).toContain("--help");
    expect(Math.max(...output.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(code).toBe(0);
  },
);

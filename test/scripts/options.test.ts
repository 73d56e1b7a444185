import { describe, expect, it } from "vitest";
import { PATH, address, helpOf, numberFrom, oneOf, readOptions, text, integerFrom } from "../../scripts/lib/options.ts";
import { run } from "../support/node/process.ts";

const LINE = {
  command: "npm run example",
  about: "Shows how a command line is read.",
  options: {
    port: { value: "N", kind: integerFrom(1, 100), help: "a port" },
    pause: { value: "S", kind: numberFrom(0.5, 10), help: "a pause" },
    file: { value: "FILE", kind: PATH, help: "a file" },
    name: {
      value: "NAME",
      kind: text("a name"),
      repeatable: true,
      help: "a name (repeatable) with an explanation that is longer than one line",
    },
    size: { value: "SIZE", kind: oneOf(["small", "large"]), help: "a size" },
    url: { value: "URL", kind: address("https://example.com"), help: "an address" },
    loud: { help: "a switch" },
  },
} as const;
const read = (...args: string[]) => readOptions(LINE, args)?.values;

describe("options", () => {
  it("are read with their types, switches default to off and other options are omitted", () => {
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
    [["--prot=7"], "Unknown option --prot. Options: --port, --pause, --file, --name, --size, --url, --loud, --help. See npm run example"],
    [["--constructor"], "Unknown option --constructor. "],
    [["-p", "7"], "Unknown option -p. "],
    [["--port"], "--port must be a whole number from 1 to 100 (got no value)."],
    [["--port", "--loud"], "--port must be a whole number from 1 to 100 (got no value)."],
    [["--port", "-1"], '--port must be a whole number from 1 to 100 (got "-1").'],
    [["--port=1.0"], '--port must be a whole number from 1 to 100 (got "1.0").'],
    [["--port=101"], '--port must be a whole number from 1 to 100 (got "101").'],
    [["--pause=0.4"], '--pause must be a number from 0.5 to 10 (got "0.4").'],
    [["--file="], '--file must be a path (got "").'],
    [["--size=huge"], '--size must be one of small, large (got "huge").'],
    [["--url=example.com"], '--url must be an address such as https://example.com (got "example.com").'],
    [["--loud=no"], '--loud takes no value (got "no").'],
    [["7"], 'Unexpected argument "7". Write options after "--": npm run example -- --port N'],
  ])("%j is refused with the option, the value and the accepted values", (args, message) => {
    expect(() => read(...args)).toThrow(message);
  });

  it("return null for --help despite other errors", () => {
    expect([read("--port=x", "--help"), read("-h")]).toEqual([undefined, undefined]);
  });

  it("are listed in two columns", () => {
    expect(helpOf(LINE).split("\n").slice(0, 10)).toEqual([
      "npm run example -- [options]",
      "",
      "Shows how a command line is read.",
      "",
      "  --port N     a port",
      "  --pause S    a pause",
      "  --file FILE  a file",
      "  --name NAME  a name (repeatable) with an explanation that is longer than one",
      "               line",
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

/** The command line of `npm run smoke`. Reads the environment and the file of local secrets, nothing else. */
import { parseArgs } from "node:util";
import { Foreseen } from "../start/foreseen.js";
import { ROOT } from "../start/places.ts";
import { readVars } from "../start/vars.ts";

export const HELP = `npm run smoke -- --base-url URL [options]     checks a deployment from outside

  --base-url URL   where it is
  --token T        the admin token (else ADMIN_TOKEN, else what .dev.vars says)
  --yes            also where calls were counted today: sets the count by hand,
                   sees the refusal, and puts the count back
  --help           this page

It spends one provider call. Exit code: 0 all is well, 1 something is not.
`;

export interface Options {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly token: string;
  readonly yes: boolean;
  /** What no answer may contain, as far as this machine knows it. */
  readonly secrets: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Null where the help was asked for. Throws `Foreseen` for what makes no sense. */
export function readOptions(args: readonly string[], environment: Environment): Options | null {
  const values = parsed(args);
  if (values.help) return null;
  const { protocol, href } = (values["base-url"] === undefined ? null : URL.parse(values["base-url"])) ?? {};
  if (href === undefined || !/^https?:$/u.test(protocol ?? "")) {
    const given = values["base-url"] === undefined ? "missing" : JSON.stringify(values["base-url"]);
    throw new Foreseen(`--base-url is ${given}; expected the deployment's address, such as https://quota-coordinator.example.workers.dev`);
  }
  const known: Environment = { ...readVars(`${ROOT}.dev.vars`), ...environment };
  const token = values.token ?? known["ADMIN_TOKEN"];
  if (!token) throw new Foreseen("There is no admin token; pass --token, or set ADMIN_TOKEN.");
  const { ISBNDB_API_KEY: key, ISBNDB_BASE_URL: provider } = known;
  const secrets = [token, key, provider].filter((secret) => secret !== undefined).filter((secret) => secret !== "");
  return { baseUrl: href.replace(/\/+$/u, ""), token, yes: values.yes, secrets };
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        "base-url": { type: "string" },
        token: { type: "string" },
        yes: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    }).values;
  } catch (error) {
    const [first = ""] = error instanceof Error ? error.message.split(/[.\n]/u, 1) : [];
    throw new Foreseen(`${first}; npm run smoke -- --help shows what there is.`);
  }
}

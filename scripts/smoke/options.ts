/** The command line of `npm run smoke`. Reads the environment and the file of local secrets, nothing else. */
import { address, text } from "../lib/options.ts";
import type { Values } from "../lib/options.ts";
import { Foreseen } from "../start/foreseen.js";
import { ROOT } from "../start/places.ts";
import { readVars } from "../start/vars.ts";

const EXAMPLE = "https://quota-coordinator.example.workers.dev";

export const COMMAND_LINE = {
  command: "npm run smoke",
  about: "Checks a deployment from outside. It spends one provider call.",
  options: {
    "base-url": { value: "URL", kind: address(EXAMPLE), help: "the deployment's address; required" },
    token: { value: "T", kind: text("the admin token"), help: "the admin token (else ADMIN_TOKEN, else what .dev.vars says)" },
    yes: {
      help: "also check a deployment that counted calls today: sets the count by hand, sees the refusal, and puts the count back",
    },
  },
  after: "Exit code: 0 all checks passed, 1 a check failed, 130 interrupted.",
} as const;

export interface Options {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly token: string;
  readonly yes: boolean;
  /** What no answer may contain, as far as this machine knows it. */
  readonly secrets: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws `Foreseen` for what makes no sense. */
export function optionsFrom(values: Values<typeof COMMAND_LINE.options>, environment: Environment): Options {
  const baseUrl = values["base-url"];
  if (baseUrl === undefined) throw new Foreseen(`--base-url is missing; expected the deployment's address, such as ${EXAMPLE}.`);
  const known: Environment = { ...readVars(`${ROOT}.dev.vars`), ...environment };
  const token = values.token ?? known["ADMIN_TOKEN"];
  if (!token) throw new Foreseen("There is no admin token; pass --token, or set ADMIN_TOKEN.");
  const { ISBNDB_API_KEY: key, ISBNDB_BASE_URL: provider } = known;
  const secrets = [token, key, provider].filter((secret) => secret !== undefined).filter((secret) => secret !== "");
  return { baseUrl, token, yes: values.yes, secrets };
}

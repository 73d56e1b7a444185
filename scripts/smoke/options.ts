/** Command line of `npm run smoke`. Reads the environment and the file of local secrets. */
import { address, text } from "../lib/options.ts";
import type { Values } from "../lib/options.ts";
import { UserError } from "../start/user-error.js";
import { ROOT } from "../start/places.ts";
import { readVars } from "../start/vars.ts";

const EXAMPLE = "https://quota-coordinator.example.workers.dev";

export const COMMAND_LINE = {
  command: "npm run smoke",
  about: "Checks a deployment over HTTP. It costs one provider call.",
  options: {
    "base-url": { value: "URL", kind: address(EXAMPLE), help: "address of the deployment (required)" },
    token: { value: "T", kind: text("the admin token"), help: "admin token (default: ADMIN_TOKEN or .dev.vars)" },
    yes: {
      help: "also test the refusal on a deployment in use: sets today's count to the limit and restores it",
    },
  },
  after: "Exit code: 0 all checks passed, 1 a check failed, 130 interrupted.",
} as const;

export interface Options {
  /** Address without a trailing slash. */
  readonly baseUrl: string;
  readonly token: string;
  readonly yes: boolean;
  /** Known secrets that no response may contain. */
  readonly secrets: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws `UserError` for missing options. */
export function optionsFrom(values: Values<typeof COMMAND_LINE.options>, environment: Environment): Options {
  const baseUrl = values["base-url"];
  if (baseUrl === undefined) throw new UserError(`--base-url is missing. Pass the address of the deployment, such as ${EXAMPLE}.`);
  const known: Environment = { ...readVars(`${ROOT}.dev.vars`), ...environment };
  const token = values.token ?? known["ADMIN_TOKEN"];
  if (!token) throw new UserError("The admin token is missing. Pass --token or set ADMIN_TOKEN.");
  const { ISBNDB_API_KEY: key, ISBNDB_BASE_URL: provider } = known;
  const secrets = [token, key, provider].filter((secret) => secret !== undefined).filter((secret) => secret !== "");
  return { baseUrl, token, yes: values.yes, secrets };
}

/** What stands on the screen when everything runs. 80 columns; colour only where the terminal wants it. */
import { styleText } from "node:util";
import { DEMO_PROJECT } from "./demo-project.ts";

export interface Screen {
  readonly url: string;
  readonly token: string;
  /** Of the demo project; null where there is none. */
  readonly key: string | null;
  readonly simulatorUrl: string;
  /** What the Worker calls; the simulator, unless the user chose otherwise. */
  readonly providerUrl: string;
  readonly state: string;
  readonly demoBooks: number;
  readonly quota: Quota;
}

interface Quota {
  readonly used: number;
  readonly remaining: number;
  readonly safety_limit: number;
}

export async function readQuota(url: string): Promise<Quota> {
  const answer = await fetch(`${url}/api/quota/status`);
  const { used, remaining, safety_limit } = (await answer.json()) as Quota;
  return { used, remaining, safety_limit };
}

const bold = (text: string): string => styleText("bold", text, { stream: process.stdout });
const dim = (text: string): string => styleText("dim", text, { stream: process.stdout });
const grouped = (count: number): string => count.toLocaleString("en-US");

export function readyScreen(screen: Screen): string {
  const { url, token, key, simulatorUrl, providerUrl, state, demoBooks, quota } = screen;
  const simulated = providerUrl === simulatorUrl;
  const kept = demoBooks > 0 ? `${state}  ${dim(`with ${demoBooks} books to begin with`)}` : state;
  const today = `${grouped(quota.used)} of ${grouped(quota.safety_limit)} calls used`;
  return [
    "",
    `  ${bold("Quota Coordinator is running.")} ${dim("Ctrl-C stops it.")}`,
    "",
    `  API           ${bold(url)}`,
    `  Dashboard     ${url}/  ${dim("sign in with the admin token")}`,
    `  Reference     ${url}/docs`,
    `  Admin token   ${token}`,
    ...(key === null ? [] : [`  Demo API key  ${key}`]),
    `  Provider      ${providerUrl}  ${dim(simulated ? "a simulated ISBNdb" : "by your choice; its calls are real")}`,
    `  Simulator     ${simulatorUrl}/_simulator  ${dim("shows and sets all it does")}`,
    `  Data          ${kept}`,
    `  Today         ${today}`,
    "",
    ...triesOf(screen).flatMap(({ title, commands }, index) => [
      `  ${bold(`${index + 1}. ${title}`)}`,
      "",
      ...commands.flatMap((command) => [...command.map((line) => `     ${line}`), ""]),
    ]),
  ].join("\n");
}

interface Try {
  readonly title: string;
  /** Each a command of one or more lines. */
  readonly commands: readonly (readonly string[])[];
}

/** Commands name the token and the key by variables, as those of the README do. */
function triesOf({ url, token, key, quota }: Screen): Try[] {
  const json = `  -H "Content-Type: application/json" \\`;
  const as = (who: "TOKEN" | "KEY") => `  -H "Authorization: Bearer $${who}"`;
  const caller = key === null ? "TOKEN" : "KEY";
  const enrich = (body: string, curl = "curl") => [
    `${curl} -X POST ${url}/api/enrich/batch-direct \\`,
    `${as(caller)} \\`,
    json,
    `  -d '${body}'`,
  ];
  const startOver = [`curl -X POST ${url}/api/quota/reset \\`, as("TOKEN")];
  const dayIsOver = quota.remaining === 0;
  return [
    {
      title: "In another terminal, once",
      commands: [[`export TOKEN=${token}`, ...(key === null ? [] : [`export KEY=${key}`])]],
    },
    ...(dayIsOver ? [{ title: "Today's calls are used up: begin again at 0", commands: [startOver] }] : []),
    {
      title: `Fetch two books from the provider${key === null ? "" : ", as the demo project"}`,
      commands: [enrich('{"isbns":["9780132350884","9780441172719"]}')],
    },
    {
      title: "See what that cost, and who spent it",
      commands: [
        [`curl ${url}/api/quota/status`],
        ...(key === null ? [] : [[`curl ${url}/api/projects/${DEMO_PROJECT}/usage \\`, as("KEY")]]),
      ],
    },
    {
      title: "Let the day's calls run out, and read the refusal",
      commands: [
        [`curl -X PUT ${url}/api/quota/usage \\`, `${as("TOKEN")} \\`, json, `  -d '{"used":${quota.safety_limit}}'`],
        enrich('{"isbns":["9780547928227"],"refresh":true}', "curl -i"),
      ],
    },
  ];
}

/** Text printed after the start. At most 80 columns. Bold and dim text only in a terminal. */
import { styleText } from "node:util";
import { DEMO_PROJECT } from "./demo-project.ts";

export interface Screen {
  readonly url: string;
  readonly token: string;
  /** API key of the demo project, or null without one. */
  readonly key: string | null;
  readonly simulatorUrl: string;
  /** Address of the provider. By default the simulator. */
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
  const data = demoBooks > 0 ? `${state}  ${dim(`with ${demoBooks} demo books`)}` : state;
  const today = `${grouped(quota.used)} of ${grouped(quota.safety_limit)} calls used`;
  return [
    "",
    `  ${bold("Quota Coordinator is running.")} ${dim("Press Ctrl-C to stop.")}`,
    "",
    `  API           ${bold(url)}`,
    `  Dashboard     ${url}/  ${dim("sign in with the admin token")}`,
    `  Reference     ${url}/docs`,
    `  Admin token   ${token}`,
    ...(key === null ? [] : [`  Demo API key  ${key}`]),
    `  Provider      ${providerUrl}  ${dim(simulated ? "a simulated ISBNdb" : "set in your variables, real calls")}`,
    `  Simulator     ${simulatorUrl}/_simulator  ${dim("shows and changes its state")}`,
    `  Data          ${data}`,
    `  Today         ${today}`,
    "",
    ...examplesOf(screen).flatMap(({ title, commands }, index) => [
      `  ${bold(`${index + 1}. ${title}`)}`,
      "",
      ...commands.flatMap((command) => [...command.map((line) => `     ${line}`), ""]),
    ]),
  ].join("\n");
}

interface Example {
  readonly title: string;
  /** Commands of one or more lines. */
  readonly commands: readonly (readonly string[])[];
}

/** Example commands. They use the variables TOKEN and KEY, as the README does. */
function examplesOf({ url, token, key, quota }: Screen): Example[] {
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
  const isUsedUp = quota.remaining === 0;
  return [
    {
      title: "In another terminal, set the variables once",
      commands: [[`export TOKEN=${token}`, ...(key === null ? [] : [`export KEY=${key}`])]],
    },
    ...(isUsedUp ? [{ title: "Today's calls are used up. Reset the count", commands: [startOver] }] : []),
    {
      title: `Fetch two books from the provider${key === null ? "" : " as the demo project"}`,
      commands: [enrich('{"isbns":["9780132350884","9780441172719"]}')],
    },
    {
      title: "Show the quota and its usage",
      commands: [
        [`curl ${url}/api/quota/status`],
        ...(key === null ? [] : [[`curl ${url}/api/projects/${DEMO_PROJECT}/usage \\`, as("KEY")]]),
      ],
    },
    {
      title: "Use up today's calls and see the refusal",
      commands: [
        [`curl -X PUT ${url}/api/quota/usage \\`, `${as("TOKEN")} \\`, json, `  -d '{"used":${quota.safety_limit}}'`],
        enrich('{"isbns":["9780547928227"],"refresh":true}', "curl -i"),
      ],
    },
  ];
}

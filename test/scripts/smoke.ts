import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import type { Coordinator } from "../support/node/coordinator.ts";
import { FakeDeployment, TOKEN } from "../support/node/fake-deployment.ts";
import type { Fault } from "../support/node/fake-deployment.ts";
import { Command, run } from "../support/node/process.ts";
import { sharedCoordinator } from "../support/node/shared-coordinator.ts";

const SMOKE = "scripts/smoke.ts";

/** Overrides the local file of secrets. */
const ENVIRONMENT = { ADMIN_TOKEN: TOKEN, ISBNDB_API_KEY: "", ISBNDB_BASE_URL: "" };

async function smokeFake(deployment: FakeDeployment, ...options: string[]): Promise<{ code: number | null; output: string }> {
  const url = await deployment.listen();
  const done = await run([SMOKE, `--base-url=${url}`, ...options], ENVIRONMENT);
  deployment.close();
  return done;
}

describe("npm run smoke, against the product", () => {
  let coordinator: Coordinator;
  beforeAll(async () => {
    coordinator = await sharedCoordinator();
  });

  const smoke = async (...options: string[]) =>
    run([SMOKE, `--base-url=${coordinator.url}`, ...options], {
      ADMIN_TOKEN: coordinator.token,
      ISBNDB_API_KEY: "simulator-key",
      ISBNDB_BASE_URL: coordinator.simulatorUrl,
    });
  const used = async (): Promise<unknown> => {
    // The public status is up to a second old.
    await sleep(1_000);
    const status = (await (await fetch(`${coordinator.url}/api/quota/status`)).json()) as { used: unknown };
    return status.used;
  };

  it("passes on a new deployment and costs one call", async () => {
    const { code, output } = await smoke();
    expect(output).toContain("12 ok, 0 failed.");
    expect(code).toBe(0);
    expect(await used()).toBe(1);
  });

  it("does not change the count of a deployment in use", async () => {
    const { code, output } = await smoke();
    expect(output).toMatch(/skipped +refusal at the limit/u);
    expect(output).toContain("9 ok, 0 failed, 1 skipped.");
    expect(code).toBe(0);
    expect(await used()).toBe(2);
  });

  it("changes the count with --yes and restores it", async () => {
    const { code, output } = await smoke("--yes");
    expect(output).toContain("Today's count was restored to 3.");
    expect(code).toBe(0);
    expect(await used()).toBe(3);
  });
});

describe("npm run smoke, against a deployment that", () => {
  it("works: passes", async () => {
    const { code, output } = await smokeFake(new FakeDeployment());
    expect(output).toContain("12 ok, 0 failed.");
    expect(code).toBe(0);
  });

  it.each<[Fault, RegExp]>([
    ["leaks_token", /failed +no leaks[^]*a secret in the response to GET \/openapi\.json/u],
    ["leaks_stack", /failed +no leaks[^]*a stack in the response to GET \/no-such-page/u],
    ["miscounts", /failed +counting[^]*the count to go up by 1[^]*0 before, 0 after/u],
    ["never_refuses", /failed +refusal[^]*429 quota_exhausted[^]*200 to POST/u],
    ["forgets_headers", /failed +security headers[^]*x-content-type-options/u],
    ["lets_everybody_in", /failed +unauthorized requests[^]*401 unauthorized/u],
  ])("%s: fails and restores the count", async (fault, message) => {
    const deployment = new FakeDeployment(fault);
    const { code, output } = await smokeFake(deployment);
    expect(output).toMatch(message);
    expect(code).toBe(1);
    expect(deployment.used).toBeLessThanOrEqual(2);
  });

  it("is in use: keeps the count", async () => {
    const deployment = new FakeDeployment(null, 7);
    expect((await smokeFake(deployment)).code).toBe(0);
    expect(deployment.requests.filter((request) => request.startsWith("PUT"))).toEqual(["PUT /api/quota/usage {}"]);
  });

  it("hangs until Ctrl-C: restores the count", async () => {
    const deployment = new FakeDeployment("hangs");
    const command = new Command([SMOKE, `--base-url=${await deployment.listen()}`], ENVIRONMENT);
    await command.printed("setting the count");
    expect(deployment.used).toBe(100);
    expect(await command.stop("SIGINT")).toBe(130);
    deployment.close();
    expect(command.output).toContain("Today's count was restored to 1.");
    expect(deployment.used).toBe(1);
  });

  it("is unavailable: fails", async () => {
    const { code, output } = await run([SMOKE, "--base-url=http://127.0.0.1:2"], ENVIRONMENT);
    expect(output).toMatch(/failed +health[^]*0 ok, 1 failed\./u);
    expect(code).toBe(1);
  });

  it.each([
    [[], "--base-url is missing. Pass the address of the deployment, such as https://quota-coordinator.example.workers.dev.\n"],
    [["--base-url=nowhere"], `--base-url must be an address such as https://quota-coordinator.example.workers.dev (got "nowhere").\n`],
    [["--bsae-url=x"], "Unknown option --bsae-url. Options: --base-url, --token, --yes, --help. See npm run smoke -- --help.\n"],
  ])("%j names: prints one line", async (options, sentence) => {
    expect(await run([SMOKE, ...options], ENVIRONMENT)).toEqual({ code: 1, output: sentence });
  });
});

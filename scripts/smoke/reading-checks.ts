/** Checks that change nothing and cost nothing. */
import type { Client } from "./client.ts";
import { expect, expectProblem, expectStatus, describeAnswer } from "./expect.ts";
import { readQuota } from "./quota.ts";
import type { Quota } from "./quota.ts";
import type { Report } from "./report.ts";

const WRONG_TOKEN = "not-the-admin-token";

/** Headers of every response, from the OWASP list of security headers. */
const SECURITY_HEADERS: readonly (readonly [name: string, value: RegExp])[] = [
  ["x-content-type-options", /^nosniff$/iu],
  ["x-frame-options", /^DENY$/iu],
  ["referrer-policy", /^(no-referrer|same-origin|strict-origin.*)$/iu],
  ["strict-transport-security", /max-age=\d{7,}/iu],
  ["x-request-id", /^[\w.:-]{1,128}$/u],
];

/** false if the deployment does not respond, so that further checks are pointless. */
export async function checkHealth(client: Client, report: Report): Promise<boolean> {
  const healthy = await report.check("health of ledger and database", async () => {
    const answer = await client.send("GET", "/health", { token: null });
    expectStatus(answer, 200);
    expect(answer.json["status"] === "ok", 'status "ok"', describeAnswer(answer));
    return true;
  });
  return healthy !== null || client.answers.length > 0;
}

/** Current quota, or null if it cannot be read. */
export async function checkStatus(client: Client, report: Report): Promise<Quota | null> {
  const noteOf = ({ used, safetyLimit }: Quota): string => `${used} of ${safetyLimit} used${used > 0 ? ", in use today" : ""}`;
  return report.check("quota status", async () => readQuota(client, null), noteOf);
}

/** false if the token is refused, so that checks with it are pointless. */
export async function checkToken(client: Client, report: Report): Promise<boolean> {
  const accepted = await report.check("admin token", async () => {
    expectStatus(await client.send("GET", "/api/quota/history?days=1"), 200);
    return true;
  });
  return accepted !== null;
}

export async function checkReading(client: Client, report: Report): Promise<void> {
  await report.check("documentation (/openapi.json and /docs)", async () => {
    const document = await client.send("GET", "/openapi.json", { token: null });
    expectStatus(document, 200);
    const { openapi } = document.json;
    expect(typeof openapi === "string" && openapi.startsWith("3."), "an OpenAPI 3 document", describeAnswer(document));
    expectStatus(await client.send("GET", "/docs", { token: null }), 200);
    expectStatus(await client.send("GET", "/docs-assets/swagger-ui.css", { token: null }), 200);
  });

  await report.check("unauthorized requests return 401", async () => {
    const answers = [
      await client.send("GET", "/api/quota/history", { token: null }),
      await client.send("GET", "/api/quota/history", { token: WRONG_TOKEN }),
      // Empty bodies change nothing if a deployment accepts them by mistake.
      await client.send("POST", "/api/enrich/batch-direct", { token: WRONG_TOKEN, body: {} }),
      await client.send("PUT", "/api/quota/usage", { token: null, body: {} }),
    ];
    for (const answer of answers) expectProblem(answer, 401, "unauthorized");
  });

  await report.check("unknown addresses and methods", async () => {
    expectProblem(await client.send("GET", "/no-such-page", { token: null }), 404, "not_found");
    expectProblem(await client.send("DELETE", "/api/quota/status", { token: null }), 405, "method_not_allowed");
  });

  await report.check("security headers", async () => {
    const answers = [
      await client.send("GET", "/api/quota/status", { token: null }),
      await client.send("GET", "/no-such-page", { token: null }),
    ];
    for (const { request, headers } of answers) {
      for (const [name, value] of SECURITY_HEADERS) {
        expect(value.test(headers.get(name) ?? ""), `${name} like ${value.source}`, `${headers.get(name) ?? "none"} from ${request}`);
      }
    }
  });
}

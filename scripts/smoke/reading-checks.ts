/** Checks that change nothing and spend nothing. */
import type { Client } from "./client.ts";
import { expect, expectProblem, expectStatus, seenIn } from "./expect.ts";
import { readQuota } from "./quota.ts";
import type { Quota } from "./quota.ts";
import type { Report } from "./report.ts";

const WRONG_TOKEN = "not-the-admin-token";

/** What every answer should carry; from the OWASP list of security headers. */
const SECURITY_HEADERS: readonly (readonly [name: string, value: RegExp])[] = [
  ["x-content-type-options", /^nosniff$/iu],
  ["x-frame-options", /^DENY$/iu],
  ["referrer-policy", /^(no-referrer|same-origin|strict-origin.*)$/iu],
  ["strict-transport-security", /max-age=\d{7,}/iu],
  ["x-request-id", /^[\w.:-]{1,128}$/u],
];

/** False where nothing answers at all: no further check makes sense then. */
export async function checkHealth(client: Client, report: Report): Promise<boolean> {
  const healthy = await report.check("health: the ledger and the database answer", async () => {
    const answer = await client.send("GET", "/health", { token: null });
    expectStatus(answer, 200);
    expect(answer.json["status"] === "ok", 'status "ok"', seenIn(answer));
    return true;
  });
  return healthy !== null || client.answers.length > 0;
}

/** The quota as it stands. Null where it could not be read. */
export async function checkStatus(client: Client, report: Report): Promise<Quota | null> {
  const noteOf = ({ used, safetyLimit }: Quota): string => `${used} of ${safetyLimit} used${used > 0 ? ": in use today" : ""}`;
  return report.check("status: today's count", async () => readQuota(client, null), noteOf);
}

/** False where the token is not accepted: what needs it makes no sense then. */
export async function checkToken(client: Client, report: Report): Promise<boolean> {
  const accepted = await report.check("the admin token is accepted", async () => {
    expectStatus(await client.send("GET", "/api/quota/history?days=1"), 200);
    return true;
  });
  return accepted !== null;
}

export async function checkReading(client: Client, report: Report): Promise<void> {
  await report.check("documentation: /openapi.json and /docs", async () => {
    const document = await client.send("GET", "/openapi.json", { token: null });
    expectStatus(document, 200);
    const { openapi } = document.json;
    expect(typeof openapi === "string" && openapi.startsWith("3."), "an OpenAPI 3 document", seenIn(document));
    expectStatus(await client.send("GET", "/docs", { token: null }), 200);
    expectStatus(await client.send("GET", "/docs-assets/swagger-ui.css", { token: null }), 200);
  });

  await report.check("unauthorised requests: 401, before anything else is looked at", async () => {
    const answers = [
      await client.send("GET", "/api/quota/history", { token: null }),
      await client.send("GET", "/api/quota/history", { token: WRONG_TOKEN }),
      // Nothing in them to act upon, should a deployment let them pass.
      await client.send("POST", "/api/enrich/batch-direct", { token: WRONG_TOKEN, body: {} }),
      await client.send("PUT", "/api/quota/usage", { token: null, body: {} }),
    ];
    for (const answer of answers) expectProblem(answer, 401, "unauthorized");
  });

  await report.check("what does not exist is a problem too", async () => {
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

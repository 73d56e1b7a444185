import { beforeEach, describe, expect, test } from "vitest";
import { env } from "cloudflare:workers";
import { freshStart, post } from "../support/worker.ts";
import { makeOrganization, makeProject, refusal } from "../support/tenants/http.ts";
import { alert, group, newAlerts, ownId, settled, signals, datadog } from "./support.ts";

beforeEach(async () => {
  newAlerts();
  await freshStart();
  await makeOrganization("org");
  await makeProject("mine");
});
const key = (): string => `${ownId()}:${Date.parse("2031-05-14T14:00:00.123Z")}`;

describe("Grafana", () => {
  const encoder = new TextEncoder();
  const sign = async (text: string, secret = env.GRAFANA_SECRET): Promise<string> => {
    const key = await crypto.subtle.importKey("raw", encoder.encode(secret), { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    return Array.from(new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text))), (byte) =>
      byte.toString(16).padStart(2, "0"),
    ).join("");
  };
  const signedKey = key();
  const body = JSON.stringify({
    ...group(alert({ values: { A: 1, requests_per_minute: 640, error_rate: null } })),
    version: "1",
    orgId: 1,
    title: "T",
    state: "alerting",
    message: "ü",
  });
  const send = async (signature: string | null, timestamp: string | null = null, text = body) =>
    post("/api/monitoring/grafana", text, {
      token: null,
      headers: {
        ...(signature === null ? {} : { "x-grafana-alerting-signature": signature }),
        ...(timestamp === null ? {} : { "x-grafana-alerting-timestamp": timestamp }),
      },
    });
  const now = Date.parse("2031-05-14T14:03:11Z") / 1_000;

  test("is let in by its signature over the body, or over the timestamp and the body", async () => {
    expect((await send(await sign(body))).body).toMatchObject({ accepted: 1 });
    expect((await send((await sign(`${now - 300}:${body}`)).toUpperCase(), String(now - 300))).body).toMatchObject({ duplicates: 1 });
    expect((await send(await sign(`${now + 300}:${body}`), String(now + 300))).body).toMatchObject({ duplicates: 1 });
    expect(await signals("source=grafana")).toMatchObject([{ received: 3, key: signedKey, metrics: { requests_per_minute: 640 } }]);
  });

  test("is refused without one, with a wrong one, an old one, and over another body", async () => {
    const answers = [
      await send(null),
      await send(""),
      await send("00".repeat(32)),
      await send(await sign(body, "another-secret-0123456789")),
      await send(await sign(`${body} `)),
      await send(await sign(body), String(now)),
      await send(await sign(`${now}:${body}`)),
      await send(await sign(`${now - 301}:${body}`), String(now - 301)),
      await send(await sign(`${now + 301}:${body}`), String(now + 301)),
      await send(await sign(`soon:${body}`), "soon"),
      await send((await sign(body)).slice(2)),
    ];
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 401));
    expect(answers.map(({ body: { detail } }) => detail)[7]).toBe("The signed timestamp must be within 5 minutes of now.");
    expect(await signals()).toEqual([]);
  });

  test("a correctly signed but damaged body is refused with the field", async () => {
    const damaged = body.slice(0, -3);
    expect(refusal(await send(await sign(damaged), null, damaged))).toEqual({ status: 422, code: "unprocessable", paths: ["body"] });
    const other = body.replace('"version":"1"', '"version":"4"');
    expect(refusal(await send(await sign(other), null, other))).toEqual({ status: 422, code: "unprocessable", paths: ["version"] });
  });
});

describe("Datadog", () => {
  const send = async (body: unknown, token: string | null = env.DATADOG_TOKEN, headers = {}) =>
    post("/api/monitoring/datadog", body, { token, headers });

  test("is identified by its cycle, project and alert: a start, a copy, an end", async () => {
    expect((await send(datadog())).body).toMatchObject({ accepted: 1, results: [{ outcome: "waiting" }] });
    expect((await send(datadog({ transition: "Re-Triggered" }))).body).toMatchObject({ duplicates: 1 });
    expect((await send(datadog({ transition: "Recovered" }))).body).toMatchObject({ resolved: 1 });
    expect((await send(datadog({ cycle_key: "2" }))).body).toMatchObject({ accepted: 1 });
    expect((await send(datadog({ project_id: "", pattern: "" }), null, { "x-datadog-token": env.DATADOG_TOKEN })).body).toMatchObject({
      accepted: 1,
      results: [{ outcome: "no_project" }],
    });
    expect((await settled(2)).map(({ project_id }) => project_id)).toEqual(["mine", "mine"]);
    expect((await signals("project_id=mine")).map(({ status, received }) => [status, received])).toEqual([
      ["firing", 1],
      ["resolved", 3],
    ]);
  });

  test("a warning is not an alarm, and does not hide a later alarm", async () => {
    expect((await send(datadog({ transition: "Warn" }))).body).toMatchObject({ results: [{ result: "accepted", outcome: "no_pattern" }] });
    expect((await send(datadog())).body).toMatchObject({ results: [{ result: "accepted", outcome: "waiting" }] });
    await settled(1);
  });

  test("names variables that Datadog did not replace, and missing or invalid fields", async () => {
    const answer = await send(datadog({ project_id: "$TAGS[project_id]", date_ms: "$DATE" }));
    expect(refusal(answer)).toEqual({ status: 422, code: "unprocessable", paths: ["project_id", "date_ms"] });
    expect(answer.body["detail"]).toContain('"$TAGS[project_id]"');
    expect(refusal(await send(datadog({ schema: "v2" })))).toMatchObject({ status: 422, paths: ["schema"] });
    expect(refusal(await send(datadog({ cycle_key: "", date_ms: "soon" })))).toMatchObject({
      status: 422,
      paths: ["cycle_key", "date_ms"],
    });
    expect(refusal(await send(datadog({ pattern: "X" })))).toMatchObject({ status: 422, paths: ["pattern"] });
    expect(refusal(await send('{"schema": "qc.data'))).toMatchObject({ status: 422, paths: ["body"] });
    expect(refusal(await send(datadog(), "wrong-token-0123456789"))).toMatchObject({ status: 401 });
    expect(refusal(await send(datadog(), null, { "x-datadog-token": env.ALERTMANAGER_TOKEN }))).toMatchObject({ status: 401 });
    expect(await signals()).toEqual([]);
  });
});

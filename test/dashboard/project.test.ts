import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { DECISION_WORDS, DELIVERY_REASON_WORDS, SIGNAL_OUTCOME_WORDS, STATUS_REASON_WORDS } from "../../worker/src/dashboard/outcomes.ts";
import { ended } from "../jobs/support.ts";
import { freshStart, post } from "../support/worker.ts";
import { audit, makeOrganization, makeProject, right, rows } from "../support/tenants/http.ts";
import type { MadeProject } from "../support/tenants/http.ts";
import { download, hashOf } from "../tenants/backups/support.ts";
import { run } from "../tenant-database/support.ts";
import { makeWebhook, readWebhook, receiver } from "../tenants/webhooks/support.ts";
import { Browser, signedIn } from "./support.ts";

const NOW = Date.parse("2031-05-14T14:03:11Z");
const JOB = `auto_suspend-${"0".repeat(40)}`;

let browser: Browser;
let made: MadeProject;

beforeEach(async () => {
  vi.restoreAllMocks();
  await freshStart();
  await makeOrganization("org");
  made = await makeProject("shop");
  browser = await signedIn();
});

const textOf = async (path = "/projects/shop"): Promise<string> => (await browser.open(path)).text;

/** The nth delivery. */
const dlv = (n: number): string => `dlv_${String(n).padStart(32, "0")}`;

const addDeliveries = async (count: number, webhook: string): Promise<unknown> =>
  rows(
    `INSERT INTO webhook_deliveries (id, webhook_id, project_id, message_id, event_type, payload, status, reason, attempts, due_at, changed_by, created_at, ended_at)
    SELECT 'dlv_' || printf('%032d', value), ?2, 'shop', 'msg_' || value, 'quota.warning', '{"type":"quota.warning","timestamp":"2031-05-14T14:00:00Z","data":{"n":' || value || '}}', 'failed', 'tries_used_up', 5, 1, 'test', ?3 + value, ?3
    FROM json_each(?1)`,
    JSON.stringify([...Array(count).keys()]),
    webhook,
    NOW - 90_000,
  );

describe("webhooks", () => {
  test("are shown with their status, without secret parts of their URL", async () => {
    expect(await textOf()).toContain("No webhooks yet.");
    const { id } = await makeWebhook("shop", { url: "https://receiver.example/hooks/T0P-SECRET?key=abc", events: ["quota.warning"] });
    await rows("UPDATE webhooks SET status = 'disabled', status_reason = 'failures', status_at = ?, failures = 5", NOW - 3_600_000);
    const { text, html } = await browser.open("/projects/shop");
    expect(text).toContain(
      `https://receiver.example/… ${id} disabled ${STATUS_REASON_WORDS.failures}, 13:03 UTC , 1 h ago quota.warning 5 Test`,
    );
    expect(text).toContain("No deliveries yet.");
    expect(html).not.toMatch(/T0P-SECRET|key=abc/u);
    expect(html).toContain(`/webhooks/${id}/enable"`);
    expect(html).not.toContain(`/webhooks/${id}/disable"`);
  });

  test("list their deliveries page by page, each with its attempts", async () => {
    const { id } = await makeWebhook();
    await addDeliveries(12, id);
    await rows(
      `INSERT INTO webhook_attempts (delivery_id, run, attempt, at, duration_ms, status_code, error, response)
      VALUES (?2, 1, 1, ?1, 310, 503, 'It answered 503.', '<b>busy</b>'), (?2, 1, 2, ?1, 10000, NULL, 'No answer within 10 s.', NULL)`,
      NOW - 60_000,
      dlv(11),
    );
    const first = await browser.open("/projects/shop");
    expect(first.text).toContain(
      `quota.warning failed ${DELIVERY_REASON_WORDS.tries_used_up} 14:01 UTC , 1 min ago https://receiver.example/… 5 –`,
    );
    const messages = (html: string): string[] => [...html.matchAll(/webhooks\/deliveries\/(dlv_\d+)"/gu)].map(([, found = ""]) => found);
    expect(messages(first.html)).toEqual([11, 10, 9, 8, 7, 6, 5, 4, 3, 2].map(dlv));
    const older = /href="([^"]*deliveries_before=\d+)#deliveries"/u.exec(first.html)?.[1] ?? "";
    expect(messages((await browser.open(older)).html)).toEqual([dlv(1), dlv(0)]);
    const one = await browser.open(`/projects/shop/webhooks/deliveries/${dlv(11)}`);
    expect(one.text).toContain("1 1 14:02 UTC , 1 min ago 310 ms 503 It answered 503. <b>busy</b>");
    expect(one.text).toContain("1 2 14:02 UTC , 1 min ago 10.0 s none No answer within 10 s. empty");
    expect(one.text).toContain('"n": 11');
    expect((await browser.send(`/projects/other/webhooks/deliveries/${dlv(11)}`)).status).toBe(404);
    expect((await browser.send("/projects/shop?deliveries_before=x")).status).toBe(400);
  });

  test("resend a delivery, but only by a form of this session", async () => {
    const received = receiver();
    const { id } = await makeWebhook();
    await addDeliveries(1, id);
    const path = `/projects/shop/webhooks/deliveries/${dlv(0)}`;
    expect((await browser.send(`${path}/again`, { form: {} })).status).toBe(403);
    expect(received.length).toBe(0);
    const sent = await browser.submit(await browser.open(path), `${path}/again`);
    expect(sent.path).toBe(path);
    expect(sent.text).toContain("2 (resent)");
    await vi.waitFor(async () => expect(await rows("SELECT status FROM webhook_deliveries")).toEqual([{ status: "delivered" }]), 20_000);
    expect(received.map(({ body }) => (JSON.parse(body) as { data: unknown }).data)).toEqual([{ n: 0 }]);
  });

  test("are tested, disabled, and enabled if the receiver passes a test", async () => {
    let answer = 204;
    receiver(() => new Response(null, { status: answer }));
    const { id } = await makeWebhook();
    const submit = async (name: string) => {
      const path = `/projects/shop/webhooks/${id}/${name}`;
      return browser.submit(await browser.open(path), path);
    };
    const tested = await submit("test");
    expect(tested.path).toMatch(/^\/projects\/shop\/webhooks\/deliveries\/dlv_/u);
    expect(tested.text).toMatch(/webhook\.test delivered About To https:\/\/receiver\.example\/… .* 204/u);
    expect((await submit("disable")).text).toContain(`disabled ${STATUS_REASON_WORDS.by_hand}`);
    answer = 500;
    const refused = await submit("enable");
    expect(refused.status).toBe(400);
    expect(refused.text).toContain("The webhook stays disabled, because the receiver did not answer its test with 2xx.");
    expect(await textOf()).toContain(`disabled ${STATUS_REASON_WORDS.test_failed}`);
    answer = 200;
    expect((await submit("enable")).path).toBe("/projects/shop#webhooks");
    expect((await readWebhook(id)).status).toBe("enabled");
    expect((await audit("project_id=shop")).map(({ actor, action }) => `${actor} ${action}`)).toContain("admin webhook.change");
    expect((await browser.send(`/projects/shop/webhooks/${id}/disable`, { form: {} })).status).toBe(403);
    expect((await browser.send("/projects/shop/webhooks/wh_none/test")).status).toBe(404);
  });
});

describe("backups", () => {
  test("are created once per form and downloaded", async () => {
    await run("shop", "CREATE TABLE notes(id INTEGER PRIMARY KEY, text TEXT)");
    await run("shop", "INSERT INTO notes(text) VALUES ('a'), ('b')");
    const form = await browser.open("/projects/shop/backups/new");
    expect(await textOf()).toContain("Backups Back up now No backup yet.");
    for (let sent = 0; sent < 2; sent += 1) {
      const submitted = await browser.submit(form, "/projects/shop/backups/new", { export_type: "full" });
      expect(submitted.path).toBe("/projects/shop#backups");
    }
    const [backup, ...others] = await rows("SELECT id, job_id, project_id, requested_by FROM backups");
    expect({ by: backup?.["requested_by"], others }).toEqual({ by: "admin", others: [] });
    await ended(String(backup?.["job_id"]));
    const { text } = await browser.open("/projects/shop");
    expect(text).toMatch(/verified full 2 rows, 1 table [\d,.]+ (bytes|kB) – export_backup Download bak_/u);
    const path = `/projects/shop/backups/${String(backup?.["id"])}/download`;
    const file = await browser.send(path);
    const same = await download(backup as never);
    expect([...file.headers].filter(([name]) => /^(content-|repr)/u.test(name))).toEqual(
      [...same.headers].filter(([name]) => /^(content-|repr)/u.test(name)),
    );
    expect(file.headers.get("repr-digest")).toBe(
      `sha-256=:${btoa(String.fromCharCode(...(hashOf(same.bytes).match(/../gu) ?? []).map((hex) => Number.parseInt(hex, 16))))}:`,
    );
    const anonymous = await new Browser().send(path);
    expect({ status: anonymous.status, length: anonymous.html.length }).toEqual({ status: 303, length: 0 });
  });

  test("show why they failed: a wrong choice, another backup or a failed job", async () => {
    const path = "/projects/shop/backups/new";
    expect((await browser.send(path, { form: { export_type: "full" } })).status).toBe(403);
    const wrong = await browser.submit(await browser.open(path), path, { export_type: "all" });
    expect({ status: wrong.status, says: wrong.text.includes("Contents: choose full or schema.") }).toEqual({
      status: 400,
      says: true,
    });
    await rows(
      `INSERT INTO backups (id, project_id, export_type, status, job_id, requested_by, error, changed_by, created_at, updated_at)
      VALUES ('bak_1', 'shop', 'full', 'failed', 'export_backup-1', 'admin', 'Part 3 is damaged', 'test', ?1, ?1),
        ('bak_2', 'shop', 'schema', 'running', 'export_backup-2', 'admin', NULL, 'test', ?1 + 1, ?1)`,
      NOW - 1_000,
    );
    const busy = await browser.submit(await browser.open(path), path, { export_type: "schema" });
    expect(busy.status).toBe(400);
    expect(busy.text).toMatch(/A backup of this project is .*: bak_2\./u);
    expect(busy.html).toMatch(/value="schema" checked/u);
    expect(await textOf()).toMatch(/running schema .* failed Part 3 is damaged full/u);
    expect((await browser.send("/projects/shop/backups/bak_1/download")).status).toBe(409);
    expect((await browser.send("/projects/other/backups/bak_1/download")).status).toBe(404);
    await rows(
      `INSERT INTO backups (id, project_id, export_type, status, job_id, requested_by, changed_by, created_at, updated_at)
      SELECT 'old_' || value, 'shop', 'full', 'failed', 'j', 'admin', 'test', value, 1 FROM json_each('[1,2,3,4,5,6,7,8,9,10]')`,
    );
    const older = /href="([^"]*backups_before=[\w-]+)#backups"/u.exec((await browser.open("/projects/shop")).html)?.[1] ?? "";
    expect((await browser.open(older)).text.match(/1970, /gu)?.length).toBe(2);
  });
});

test("a restored project shows its source, and a notice shows a restore or creation in progress", async () => {
  const restore = `INSERT INTO restores (project_id, backup_id, source_project_id, status, attempt, job_id, requested_by, changed_by, created_at, updated_at)
    VALUES ('shop', 'bak_7', 'old_shop', 'running', 1, 'restore_backup-${"1".repeat(40)}', 'admin', 'test', 1, 1)`;
  await rows(restore);
  expect(await textOf()).toContain(
    "Database restore in progress. Writes are refused until the restore is verified. bak_7 of old_shop , by restore_backup",
  );
  await rows("UPDATE restores SET status = 'failed', error = 'Rows of notes differ.'");
  expect(await textOf()).toContain("Database restore failed. Rows of notes differ.");
  await rows("UPDATE restores SET status = 'completed'");
  const { text } = await browser.open("/projects/shop");
  expect(text).toContain("Restored from bak_7 of old_shop , by restore_backup");
  expect(text).not.toContain("Database restore");
  expect(text).not.toContain("Creation in progress");
  await rows("UPDATE projects SET provisioning = 'running'");
  await rows("UPDATE provisionings SET database_at = ?, job_id = ?", NOW, `provision_project-${"2".repeat(40)}`);
  expect(await textOf()).toContain(
    "Creation in progress. Its keys do not work yet. provision_project database done auth running realtime pending storage pending key pending",
  );
  await rows("UPDATE projects SET provisioning = 'failed'");
  await rows("UPDATE provisionings SET failed_step = 'auth', error = 'auth answered 500'");
  expect(await textOf()).toMatch(/Creation failed. .* auth answered 500 provision_project database done auth failed/u);
});

test("a project shows its abuse decisions, and a separate page shows signals", async () => {
  expect(await textOf()).toContain("No abuse was detected or reported.");
  await rows(
    `INSERT INTO abuse_detections (run, project_id, pattern, at, as_of, decision, why, evidence, enforce, inputs)
    VALUES (?1, 'shop', 'ERROR_SPIKE', ?2, ?2, 'suspended', '250 and 260 errors in 300 and 310 requests', 'measured', 1, '{"error_rate":0.839}')`,
    JOB,
    NOW,
  );
  const { text, html } = await browser.open("/projects/shop");
  const decision = `14:03 UTC , just now Error spike suspended ${DECISION_WORDS.suspended}`;
  expect(text).toContain(`${decision} 250 and 260 errors in 300 and 310 requests (measured here) All numbers`);
  expect(text).toContain('"error_rate": 0.839 } auto_suspend');
  expect(html).toContain('href="/signals?project=shop"');
  const signal = {
    id: "waf-17",
    project_id: "shop",
    pattern: "ERROR_SPIKE",
    enforce_action: false,
    title: "<b>Many</b>",
    link: "javascript:alert(1)",
  };
  right(await post("/api/monitoring/signal", { ...signal, status: "resolved" }));
  right(await post("/api/monitoring/signal", { id: "waf-18", title: "All is slow", link: "https://grafana.example/d/1" }));
  const all = await browser.open("/signals");
  const firing = `14:03 UTC , just now api firing all projects , All is slow – ${SIGNAL_OUTCOME_WORDS.no_project}`;
  const resolved = `14:03 UTC , just now api resolved 14:03 UTC , just now shop , <b>Many</b> Error spike ${SIGNAL_OUTCOME_WORDS.resolved}`;
  expect(all.text).toContain(`${firing} ${resolved} (report only)`);
  expect(all.html).toContain('href="https://grafana.example/d/1"');
  expect(all.html).not.toMatch(/href="javascript|<b>Many/u);
  expect((await browser.open("/signals?project=shop&source=api")).text).not.toContain("All is slow");
  expect((await browser.open("/signals?source=grafana")).text).toContain("No signal matches.");
  expect((await browser.send("/signals?source=fax")).status).toBe(400);
  expect((await new Browser().send("/signals")).status).toBe(303);
});

test("a rotated key shows the expiry and the use of its earlier version", async () => {
  const { id } = made.api_key;
  await rows("UPDATE api_key_versions SET expires_at = ?, grace_uses = 12", NOW + 3_600_000);
  await rows("INSERT INTO api_key_versions (key_id, version, hash, created_at) VALUES (?, 2, 'h', ?)", id, NOW);
  expect(await textOf()).toContain("active 2 1 works until 15:03 UTC , in 1 h (used 12 times since)");
  await rows("UPDATE api_key_versions SET expires_at = ? WHERE version = 1", NOW);
  expect(await textOf()).toContain("active 2 never never");
  await env.DB.prepare("UPDATE api_keys SET revoked_at = ?").bind(NOW).run();
  expect(await textOf()).toContain("revoked 2 never never");
});

/** Today's code continues the jobs, events, webhooks, backups, keys and sessions of earlier releases. */
import { exports } from "cloudflare:workers";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Webhook } from "standardwebhooks";
import { jobKind } from "../../worker/src/jobs/catalog.ts";
import { paramsOf, readJobParams } from "../../worker/src/jobs/job-params.ts";
import type { JobRow } from "../../worker/src/store/jobs/jobs.ts";
import { ended, read, until } from "../jobs/support.ts";
import { call, get, post, setClock, withTheirJobs } from "../support/worker.ts";
import { ask } from "../tenant-database/support.ts";
import { makeOrganization, makeProject, right, rows } from "../support/tenants/http.ts";
import { by, statusText } from "../support/tenants/keys.ts";
import { deliveries, makeWebhook, readWebhook, receiver, verified } from "../tenants/webhooks/support.ts";
import type { Received } from "../tenants/webhooks/support.ts";
import { RELEASES } from "./releases.ts";
import { optional, upgradedFrom } from "./support.ts";

afterAll(() => void vi.restoreAllMocks());

const housekeeping = async () => ended(right(await post<{ id: string }>("/api/jobs", { type: "housekeeping", payload: {} })).id);
const undispatched = async () => rows("SELECT count(*) AS n FROM events WHERE dispatched_at IS NULL");

/** Slow tests run only with the oldest release that has the data. */
const oldest = RELEASES.find(({ told: answers }) => answers.backup !== undefined);

describe.each(RELEASES.filter(({ migrations }) => migrations >= 4))("from $name", (release) => {
  const { told: answers } = release;
  const { done = "", later = "" } = answers;
  const key = answers.keys?.key ?? "";
  let received: Received[];
  beforeAll(async () => {
    vi.restoreAllMocks();
    await upgradedFrom(release);
    withTheirJobs();
    received = receiver();
    if (release.migrations < 6) await makeWebhook();
  });

  test("a completed job is readable, with its attempts and result", async () => {
    expect(await read(done)).toMatchObject({ id: done, type: "housekeeping", status: "completed", payload: {} });
    const { attempts, result } = await read(done);
    expect([attempts.length > 0, attempts.every(({ outcome }) => outcome === "succeeded"), typeof result]).toEqual([true, true, "object"]);
    expect(await post("/api/jobs", { type: "housekeeping", payload: {}, idempotency_key: "done" })).toMatchObject({ body: { id: done } });
  });

  test("today's handlers accept the payload of every job", async () => {
    const jobs = (await rows("SELECT * FROM jobs")) as unknown as JobRow[];
    const payloads = jobs.map((job) => [
      job.type,
      jobKind(job.type)?.payload.safeParse(readJobParams(paramsOf(job)).payload).error ?? null,
    ]);
    expect(payloads).toEqual(jobs.map(({ type }) => [type, null]));
    expect(jobs.length).toBeGreaterThan(1);
  });

  test("a scheduled job runs at its time", async () => {
    expect(await rows("SELECT status FROM jobs WHERE id = ?", later)).toEqual([{ status: "scheduled" }]);
    await setClock("2031-05-14T15:03:00Z");
    await housekeeping();
    expect(await ended(later)).toMatchObject({ status: "completed", tries: 1 });
  });

  test("a pending event is delivered once", async () => {
    expect(await undispatched()).toEqual([{ n: 0 }]);
    await housekeeping();
    await vi.waitFor(async () => expect((await deliveries()).filter(({ status }) => status === "pending")).toEqual([]), 10_000);
    const types = received.map(({ body }) => (JSON.parse(body) as { type: string }).type);
    expect(types).toEqual(release.migrations >= 6 ? ["backup.completed"] : []);
  });

  describe.each(optional(answers.webhook))("webhooks", ({ id, secret }) => {
    test("a webhook's secret still works", async () => {
      expect((await readWebhook(id)).status).toBe("enabled");
      const [message] = received;
      if (message === undefined) throw new Error("nothing was received");
      expect(verified(message, secret)).toMatchObject({ type: "backup.completed", data: { backup_id: answers.backup } });
      vi.setSystemTime(new Date("2031-05-14T14:02:00Z"));
      const before = (answers.received ?? []).map(({ headers, body }) => new Webhook(secret).verify(body, headers));
      vi.setSystemTime(new Date("2031-05-14T15:03:00Z"));
      expect(before).toHaveLength(3);
      expect((await deliveries()).map(({ type, status }) => [type, status])).toEqual([
        ["backup.completed", "delivered"],
        ["key.rotated", "delivered"],
        ["quota.warning", "delivered"],
      ]);
    });

    test("the delivery counts match the deliveries", async () => {
      const tallied = await rows("SELECT status, count FROM webhook_tallies WHERE count > 0");
      // The recorded release deleted one delivered message. This does not lower the count.
      expect(tallied).toEqual([{ status: "delivered", count: release.migrations < 10 ? 3 : 4 }]);
    });
  });

  describe.each(optional(release === oldest ? answers.backup : undefined))("backups", (id) => {
    test("a backup is restored with the same rows", async () => {
      const copy = `copy-${release.migrations}`;
      expect(await get(`/api/projects/shop/backups/${id}`)).toMatchObject({ status: 200, body: { status: "outdated" } });
      const { restore } = right(
        await post<{ restore: { job_id: string } }>(`/api/projects/shop/backups/${id}/restore`, { project_id: copy }),
      );
      expect(await ended(restore.job_id)).toMatchObject({ status: "completed" });
      const notes = await ask(copy, "SELECT id, text, at = 9e999, typeof(at) FROM notes ORDER BY id");
      expect(notes).toMatchObject({
        rows: [
          [1, "one", 0, "real"],
          [2, "two\nlines", 1, "real"],
          [3, null, 0, "real"],
        ],
      });
    });
  });

  describe.each(optional(release === oldest ? answers.turned : undefined))("keys", ({ id, before, after }) => {
    test("both versions of a rotated key work until the grace period ends, with one event", async () => {
      const opens = async (key: string) => statusText(await by(key, "GET", "/api/projects/shop/usage"));
      expect([await opens(before), await opens(after), await opens(key)]).toEqual(["200", "200", "200"]);
      await setClock("2031-05-15T14:02:00Z");
      expect([await opens(before), await opens(after)]).toEqual(["401 unauthorized", "200"]);
      // The job slept. An hour later, housekeeping starts another one.
      await setClock("2031-05-15T15:10:00Z");
      await housekeeping();
      const [job] = await rows("SELECT id FROM jobs WHERE type = 'rotate_key' ORDER BY created_at DESC LIMIT 1");
      await until(String(job?.["id"]), ({ status }) => status === "completed");
      await housekeeping();
      const ends = await rows("SELECT project_id FROM events WHERE type = 'key.grace_ended' AND data ->> 'key_id' = ?", id);
      expect(ends).toEqual([{ project_id: "shop" }]);
    });
  });

  describe.each(optional(answers.session))("sessions", (session) => {
    test("a dashboard session stays signed in", async () => {
      vi.setSystemTime(new Date("2031-05-14T15:03:00Z"));
      const at = async (cookie: string) =>
        (
          await exports.default.fetch(
            new Request("https://coordinator.test/jobs", { redirect: "manual", headers: { accept: "text/html", cookie } }),
          )
        ).status;
      expect([await at(session), await at(`${session}0`)]).toEqual([200, 303]);
    });
  });

  test("a new project works next to the earlier ones", async () => {
    await setClock("2031-05-15T16:00:00Z");
    await makeOrganization("new");
    const { api_key } = await makeProject("fresh", { organization_id: "new" });
    await vi.waitFor(async () => expect(statusText(await by(api_key.key, "GET", "/api/projects/fresh/usage"))).toBe("200"), 10_000);
    expect((await call("GET", "/api/projects")).body).toMatchObject({
      projects: expect.arrayContaining([expect.objectContaining({ id: "shop" })]) as unknown,
    });
  });
});

/** Downloads of byte ranges, and backups of earlier releases, whose files are not sent. */
import { env, exports } from "cloudflare:workers";
import { beforeAll, describe, expect, test } from "vitest";
import { ended } from "../../jobs/support.ts";
import { makeOrganization, makeProject, refusal, right } from "../../support/tenants/http.ts";
import { ADMIN_TOKEN, freshStart, get, post } from "../../support/worker.ts";
import { ask } from "../../tenant-database/support.ts";
import { backUp, download, fill, hashOf } from "./support.ts";
import type { Backup } from "./support.ts";

let backup: Backup;
let whole: Uint8Array;
let etag: string;
beforeAll(async () => {
  await freshStart();
  await makeOrganization("org");
  await makeProject("shop");
  await fill("shop", 3);
  ({ backup } = await backUp("shop"));
  const file = await download(backup);
  whole = file.bytes;
  etag = file.headers.get("etag") ?? "";
});

async function ranged(headers: Record<string, string>): Promise<{ status: number; headers: Headers; bytes: Uint8Array }> {
  const url = `http://coordinator.test/api/projects/shop/backups/${backup.id}/download`;
  const response = await exports.default.fetch(new Request(url, { headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...headers } }));
  return { status: response.status, headers: response.headers, bytes: new Uint8Array(await response.arrayBuffer()) };
}

describe("a download", () => {
  test("has the hash of the file as its ETag", async () => {
    expect({ etag, hash: hashOf(whole) }).toEqual({ etag: `"${backup.sha256}"`, hash: backup.sha256 });
    for (const known of [etag, `"other", W/${etag}`, "*"]) {
      expect(await ranged({ "if-none-match": known })).toMatchObject({ status: 304, bytes: new Uint8Array() });
    }
    expect((await ranged({ "if-none-match": '"other"' })).status).toBe(200);
  });

  test("continues at any byte, within a part and across parts", async () => {
    const size = whole.length;
    const cases = [
      ["bytes=0-0", 0, 1],
      ["bytes=0-", 0, size],
      [`bytes=${size - 1}-`, size - 1, size],
      ["bytes=-7", size - 7, size],
      [`bytes=-${size + 5}`, 0, size],
      [`bytes=1000-${size - 1_000}`, 1_000, size - 999],
      [`bytes=5-${size * 2}`, 5, size],
    ] as const;
    for (const [range, from, to] of cases) {
      for (const more of [{}, { "if-range": etag }]) {
        const { status, headers, bytes } = await ranged({ range, ...more });
        expect([range, status, headers.get("content-range"), headers.get("content-length")]).toEqual([
          range,
          206,
          `bytes ${from}-${to - 1}/${size}`,
          String(to - from),
        ]);
        expect(hashOf(bytes)).toBe(hashOf(whole.subarray(from, to)));
      }
    }
  });

  test("is complete if the range belongs to another file, or is not supported", async () => {
    const others = [
      { range: "bytes=0-5", "if-range": '"other"' },
      { range: "bytes=0-5", "if-range": `W/${etag}` },
      { range: "bytes=0-1,5-6" },
      { range: "bytes=6-5" },
      { range: "bytes=-" },
      { range: "lines=1-2" },
    ];
    for (const headers of others) expect([headers, (await ranged(headers)).bytes.length]).toEqual([headers, whole.length]);
  });

  test("of bytes after the end is 416 with the size of the file", async () => {
    for (const range of [`bytes=${whole.length}-`, "bytes=-0"]) {
      const { status, headers, bytes } = await ranged({ range });
      expect([status, headers.get("content-range"), headers.get("etag")]).toEqual([416, `bytes */${whole.length}`, etag]);
      expect(JSON.parse(new TextDecoder().decode(bytes))).toMatchObject({
        type: expect.stringMatching(/#range_not_satisfiable$/u) as string,
        code: "range_not_satisfiable",
        detail: expect.stringContaining(`must begin before byte ${whole.length}, the end of the file (got ${range})`) as string,
      });
    }
  });
});

describe("a backup of an earlier release", () => {
  test("is outdated: its file is not sent, but it can be restored, and its rows are counted", async () => {
    await makeProject("old");
    const made = (await backUp("old")).backup;
    const sql = "UPDATE backups SET manifest_key = replace(manifest_key, '.v2', '') WHERE id = ?";
    await env.DB.prepare(sql).bind(made.id).run();
    const address = `/api/projects/old/backups/${made.id}`;
    expect(right(await get(address))).toMatchObject({ status: "outdated" });
    expect(refusal(await get(`${address}/download`))).toMatchObject({ status: 409, code: "conflict" });
    expect(refusal(await get(`${address}/manifest`))).toMatchObject({ status: 409, code: "conflict" });
    const listed = async (status: string) =>
      right(await get<{ backups: Backup[] }>(`/api/projects/old/backups?status=${status}`)).backups.map(({ id }) => id);
    expect([await listed("verified"), await listed("outdated"), await listed("failed")]).toEqual([[], [made.id], []]);
    const { restore } = right(await post<{ restore: { job_id: string } }>(`${address}/restore`, { project_id: "old-copy" }));
    expect(await ended(restore.job_id)).toMatchObject({ status: "completed" });
    expect(await ask("old-copy", "SELECT 1")).toMatchObject({ result: "rows" });
  });
});

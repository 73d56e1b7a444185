/** worker/zod.js re-exports zod without its locales. A new version of zod must not lose an export unnoticed. */
import { expect, test } from "vitest";
import * as zod from "zod";

test("worker/zod.js has the exports of zod, without its locales", async () => {
  const bundled = (await import(`${import.meta.dirname}/../worker/zod.js`)) as Record<string, unknown>;
  const left = new Set(["core", "default", "locales"]);
  expect(Object.keys(bundled).toSorted()).toEqual(
    Object.keys(zod)
      .filter((name) => !left.has(name))
      .toSorted(),
  );
  expect(bundled["string"]).toBe(zod.string);
});

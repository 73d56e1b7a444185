/** worker/zod.js is zod without its languages: the same exports, so that a new version of zod cannot lose one unseen. */
import { expect, test } from "vitest";
import * as zod from "zod";

test("worker/zod.js exports what zod exports, without the languages", async () => {
  const bundled = (await import(`${import.meta.dirname}/../worker/zod.js`)) as Record<string, unknown>;
  const left = new Set(["core", "default", "locales"]);
  expect(Object.keys(bundled).toSorted()).toEqual(
    Object.keys(zod)
      .filter((name) => !left.has(name))
      .toSorted(),
  );
  expect(bundled["string"]).toBe(zod.string);
});

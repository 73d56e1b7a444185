import { afterEach, expect, test, vi } from "vitest";
import { sameHash, sameSecret } from "../../worker/src/lib/same-secret.ts";
import { storedHash } from "../../worker/src/tenants/keys/api-key.ts";

afterEach(() => void vi.restoreAllMocks());

/** Whoever measures how long a comparison takes learns nothing: only this one takes the same time wherever the first difference is. */
test("secrets and hashes of keys are compared in a time that tells nothing", async () => {
  const compare = vi.spyOn(crypto.subtle, "timingSafeEqual");
  expect([await sameSecret("right", "right"), await sameSecret("right!", "right"), await sameSecret("", "right")]).toEqual([
    true,
    false,
    false,
  ]);
  expect(compare).toHaveBeenCalledTimes(3);
  const [hash, other] = [await storedHash("a".repeat(64), "pepper"), await storedHash("b".repeat(64), "pepper")];
  expect([sameHash(hash, hash), sameHash(hash, other), sameHash(hash, hash.slice(1))]).toEqual([true, false, false]);
  expect(compare).toHaveBeenCalledTimes(5);
});

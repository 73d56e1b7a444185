import { afterEach, expect, test, vi } from "vitest";
import { sameHash, sameSecret } from "../../worker/src/lib/same-secret.ts";
import { storedHash } from "../../worker/src/tenants/keys/api-key.ts";

afterEach(() => void vi.restoreAllMocks());

/** Response times must not reveal secrets. Only the constant-time comparison takes the same time for every difference. */
test("secrets and hashes of keys are compared in constant time", async () => {
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

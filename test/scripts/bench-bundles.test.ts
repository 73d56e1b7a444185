import { describe, expect, it } from "vitest";
import { productWith } from "../../scripts/bench/bundles.ts";

describe("a variant of the product", () => {
  it.each([
    ["store/limits/admissions.ts", "bare-admission.ts", "SELECT 1"],
    ["quota/ledger.ts", "one-statement-ledger.ts", "UPDATE counter SET used"],
  ])("stands in place of %s, which it may still use", async (module, variant, text) => {
    const contents = await productWith(module, variant);
    expect(contents).toContain(`// worker/src/${module}`);
    expect(contents).toContain(`// scripts/bench/variants/${variant}`);
    expect(contents).toContain(text);
  });

  it("is refused where it would replace nothing", async () => {
    await expect(productWith("store/admissions.ts", "bare-admission.ts")).rejects.toThrow(
      "Nothing in the product imports store/admissions.ts",
    );
  });
});

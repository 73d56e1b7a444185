import { describe, expect, it } from "vitest";
import { productWith } from "../../scripts/bench/bundles.ts";

describe("a variant of the product", () => {
  it.each([
    ["store/limits/admissions.ts", "bare-admission.ts", "SELECT 1"],
    ["quota/ledger.ts", "one-statement-ledger.ts", "UPDATE counter SET used"],
  ])("replaces %s, which it can import", async (module, variant, text) => {
    const contents = await productWith(module, variant);
    expect(contents).toContain(`// worker/src/${module}`);
    expect(contents).toContain(`// scripts/bench/variants/${variant}`);
    expect(contents).toContain(text);
  });

  it("is refused if no file imports its module", async () => {
    await expect(productWith("store/admissions.ts", "bare-admission.ts")).rejects.toThrow(
      "No file of the product imports store/admissions.ts",
    );
  });
});

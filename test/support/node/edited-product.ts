/** The product's source with one changed line, for limits that no variable changes. */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./process.ts";

export interface EditedProduct {
  /** Path of its wrangler.jsonc. */
  readonly config: string;
  readonly remove: () => void;
}

/** Replaces `from` in `file`, a path from the root. */
export function editProduct(file: string, from: string, to: string): EditedProduct {
  const folder = mkdtempSync(join(tmpdir(), "edited-product-"));
  for (const part of ["package.json", "tsconfig.json", "wrangler.jsonc", "worker"]) {
    cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  const text = readFileSync(join(folder, file), "utf8");
  if (!text.includes(from)) throw new Error(`${file} does not contain ${JSON.stringify(from)}`);
  writeFileSync(join(folder, file), text.replace(from, to));
  return { config: join(folder, "wrangler.jsonc"), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

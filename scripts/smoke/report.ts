/** Prints one line per check, with the expected and the actual value of a failure. */
import { styleText } from "node:util";
import { Unexpected } from "./expect.ts";

const paint = (format: "green" | "red" | "dim", text: string): string => styleText(format, text, { stream: process.stdout });

export class Report {
  #passed = 0;
  #failed = 0;
  #skipped = 0;

  /** Runs a check and prints its line, with a string result of `check`. Returns null if it failed. */
  async check<Result>(name: string, check: () => Promise<Result>, noteOf?: (result: Result) => string): Promise<Result | null> {
    try {
      const result = await check();
      const note = typeof result === "string" ? result : noteOf?.(result);
      this.#passed += 1;
      console.log(`  ${paint("green", "ok")}       ${name}${note === undefined ? "" : paint("dim", `  ${note}`)}`);
      return result;
    } catch (error) {
      if (error instanceof Error && error.name === "AbortError") throw error;
      this.#failed += 1;
      const { expected, actual } = asUnexpected(error);
      console.log(`  ${paint("red", "failed")}   ${name}\n           expected: ${expected}\n           actual:   ${actual}`);
      return null;
    }
  }

  skip(name: string, reason: string): void {
    this.#skipped += 1;
    console.log(`  ${paint("dim", "skipped")}  ${name}  ${paint("dim", reason)}`);
  }

  get failed(): boolean {
    return this.#failed > 0;
  }

  summary(): string {
    const parts = [`${this.#passed} ok`, `${this.#failed} failed`, ...(this.#skipped > 0 ? [`${this.#skipped} skipped`] : [])];
    return parts.join(", ");
  }
}

function asUnexpected(error: unknown): { expected: string; actual: string } {
  if (error instanceof Unexpected) return error;
  const { message, cause } = error instanceof Error ? error : { message: String(error), cause: undefined };
  return { expected: "a response", actual: cause instanceof Error && cause.message !== "" ? cause.message : message };
}

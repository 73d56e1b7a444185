/** Fails each test in which a secret appeared. Set up before every file, so that no test has to think of it. */
import { afterEach } from "vitest";
import { takeLeaks } from "./secret-watch.ts";

afterEach(() => {
  const leaks = takeLeaks();
  if (leaks.length > 0) throw new Error(`A secret where none belongs:\n${leaks.join("\n")}`);
});

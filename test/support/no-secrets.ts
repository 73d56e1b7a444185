/** Fails each test in which a secret leaked. Set up before every file, so that no test can forget it. */
import { afterEach } from "vitest";
import { takeLeaks } from "./secret-watch.ts";

afterEach(() => {
  const leaks = takeLeaks();
  if (leaks.length > 0) throw new Error(`A secret leaked:\n${leaks.join("\n")}`);
});

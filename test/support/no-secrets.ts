/** Fails each test in which a secret leaked, and shows the log of failed tests. Set up before every file, so that no test can forget it. */
import { afterAll, afterEach } from "vitest";
import { endLog, holdLog, takeLeaks } from "./secret-watch.ts";

holdLog();

afterEach(({ task }) => {
  const leaks = takeLeaks();
  endLog({ show: leaks.length > 0 || task.result?.state === "fail" });
  if (leaks.length > 0) throw new Error(`A secret leaked:\n${leaks.join("\n")}`);
});

// The lines of `beforeAll` belong to no test if it fails.
afterAll(() => endLog({ show: true }));

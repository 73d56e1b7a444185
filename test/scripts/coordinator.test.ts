/** Suites against one `npm start`. `-t smoke` runs one of them. */
import { afterAll, describe } from "vitest";
import { stopSharedCoordinator } from "../support/node/shared-coordinator.ts";

afterAll(stopSharedCoordinator);

// In this order: the smoke test needs an unused product, and the documentation's commands leave targets that crons harvest.
describe("smoke", async () => void (await import("./smoke.ts")));
describe("harvest-days", async () => void (await import("./harvest-days.ts")));
describe("harvest-killed", async () => void (await import("./harvest-killed.ts")));
describe("documentation", async () => void (await import("./documentation.ts")));

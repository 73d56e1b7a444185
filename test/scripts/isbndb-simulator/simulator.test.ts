/** Suites against one simulator, because each start takes seconds of CPU time. `-t billing` runs one of them. */
import { afterAll, describe } from "vitest";
import { stopSimulator } from "./support.ts";

afterAll(stopSimulator);

describe("billing", async () => void (await import("./billing.ts")));
describe("catalog", async () => void (await import("./catalog.ts")));
describe("clock", async () => void (await import("./clock.ts")));
describe("control", async () => void (await import("./control.ts")));
describe("documented answers", async () => void (await import("./documented-answers.ts")));
describe("faults", async () => void (await import("./faults.ts")));
describe("live answers", async () => void (await import("./live-answers.ts")));
describe("refusals", async () => void (await import("./refusals.ts")));

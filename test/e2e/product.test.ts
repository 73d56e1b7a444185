/** Suites against the built product. They share one product, because each start takes seconds of CPU time. `-t dashboard` runs one. */
import { afterAll, describe } from "vitest";
import { stopSharedProduct } from "../support/node/product.ts";

afterAll(stopSharedProduct);

// In this order: the dashboard's empty states need a product without projects and jobs, and openapi-truth leaves a reservation.
describe("hostile", async () => void (await import("./hostile.ts")));
describe("openapi", async () => void (await import("./openapi.ts")));
describe("dashboard", async () => void (await import("./dashboard.ts")));
describe("storm", async () => void (await import("./storm.ts")));
describe("openapi-truth", async () => void (await import("./openapi-truth.ts")));
describe("tenant-database", async () => void (await import("./tenant-database.ts")));

// These start their own, with other variables.
describe("backups", async () => void (await import("./backups.ts")));
describe("telemetry", async () => void (await import("./telemetry.ts")));

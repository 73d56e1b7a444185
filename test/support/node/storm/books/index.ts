/** Compares all records of a storm when it is over. */
import type { World } from "../world.ts";
import { deliveryBooks } from "./deliveries.ts";
import { harvestBooks } from "./harvests.ts";
import { jobBooks } from "./jobs.ts";
import { quotaBooks } from "./quota.ts";
import type { QuotaFigures } from "./quota.ts";
import { tenantBooks } from "./tenants.ts";

/** Descriptions of the differences, and the totals. */
interface Book<Figures> {
  readonly discrepancies: readonly string[];
  readonly figures: Figures;
}

type Counts = Readonly<Record<string, number>>;

export interface Books {
  /** Work still in progress when it should have ended. */
  readonly unfinished: readonly string[];
  readonly quota: Book<QuotaFigures>;
  readonly tenants: Book<Counts>;
  readonly jobs: Book<Counts>;
  readonly deliveries: Book<Counts>;
  readonly harvests: Book<Counts>;
}

export async function compare(world: World): Promise<Omit<Books, "unfinished">> {
  return {
    quota: await quotaBooks(world),
    tenants: await tenantBooks(world),
    jobs: await jobBooks(world),
    deliveries: await deliveryBooks(world),
    harvests: await harvestBooks(world),
  };
}

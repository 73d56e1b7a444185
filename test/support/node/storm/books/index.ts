/** All books of a storm, compared with one another when it is over. */
import type { World } from "../world.ts";
import { deliveryBooks } from "./deliveries.ts";
import { harvestBooks } from "./harvests.ts";
import { jobBooks } from "./jobs.ts";
import { quotaBooks } from "./quota.ts";
import type { QuotaFigures } from "./quota.ts";
import { tenantBooks } from "./tenants.ts";

/** What does not agree, in words, and what there was. */
interface Book<Figures> {
  readonly discrepancies: readonly string[];
  readonly figures: Figures;
}

type Counts = Readonly<Record<string, number>>;

export interface Books {
  /** What was still under way when it should have been quiet. */
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

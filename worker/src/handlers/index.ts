/** The code of each job type. The compiler asks for one as soon as a type stands in the catalogue. */
import type { JobType } from "../jobs/catalog.ts";
import type { JobHandler } from "./context.ts";
import { harvestHandler } from "./harvest.ts";
import { housekeepingHandler } from "./housekeeping.ts";

export const HANDLERS = {
  harvest: harvestHandler,
  housekeeping: housekeepingHandler,
} satisfies { [Type in JobType]: JobHandler<Type> };

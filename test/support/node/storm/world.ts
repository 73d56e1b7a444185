/** Shared by the parts of a storm. */
import type { HarvestBook } from "./around/harvests.ts";
import type { OperatorBook } from "./around/operator.ts";
import type { Receiver } from "./around/receiver.ts";
import type { TickBook } from "./around/ticks.ts";
import type { HoldBook } from "./clients/holding.ts";
import type { RowBook } from "./clients/querying.ts";
import type { ReportBook } from "./clients/reporting.ts";
import type { Storm } from "./storm.ts";
import type { Tenants } from "./tenants.ts";

export interface World {
  readonly storm: Storm;
  readonly tenants: Tenants;
  /** Cookie of an admin's session. */
  readonly cookie: string;
  readonly receiver: Receiver;
  readonly holds: HoldBook;
  readonly rows: RowBook;
  readonly reports: ReportBook;
  readonly ticks: TickBook;
  readonly operator: OperatorBook;
  readonly harvests: HarvestBook;
}

/** Keeps the catalog within its maximum size, and moves the rows of earlier releases into it. */
import type { Deps } from "../deps.ts";
import { log } from "../lib/log.ts";
import { databaseSize } from "../store/database.ts";
import { removeOldestBooks } from "../store/library/books.ts";
import { moveCatalog } from "../store/library/move.ts";
import type { MoveProgress } from "../store/library/move.ts";

/** As many books as a run of the move adds. The next run continues. */
const MAX_ROUNDS = 25;

export interface CatalogWork {
  /** Books. */
  readonly removed: number;
  readonly move: MoveProgress;
}

/** Frees space first, because a full catalog accepts no rows. */
export async function maintainCatalog(deps: Deps): Promise<CatalogWork> {
  const removed = await removeBeyondMaximum(deps);
  return { removed, move: await moveCatalog(deps, deps.clock()) };
}

async function removeBeyondMaximum({ catalog, config: { catalogMaxBytes } }: Deps): Promise<number> {
  if (catalogMaxBytes === null) return 0;
  let total = 0;
  let bytes = await databaseSize(catalog);
  for (let round = 0; round < MAX_ROUNDS && bytes > catalogMaxBytes && !catalog.isUsedUp; round += 1) {
    const { removed, bytes: left } = await removeOldestBooks(catalog);
    if (removed === 0) break;
    total += removed;
    bytes = left;
  }
  if (total > 0) log.info("Oldest books removed", { removed: total, bytes, maximum: catalogMaxBytes });
  return total;
}

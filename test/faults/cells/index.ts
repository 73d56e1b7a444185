/** All flows of the matrix, in the order of the page. */
import type { FlowTable } from "../matrix.ts";
import { batch } from "./batch.ts";

export const FLOWS: readonly FlowTable[] = [batch];

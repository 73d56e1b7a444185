/** All measures, in the order of a run. */
import type { Measure } from "../measure.ts";
import { dump } from "./dump.ts";
import { grant, overshoot, refuse, status } from "./quota.ts";
import { admission, batch, events, harvest } from "./requests.ts";
import { reset, sweep } from "./sets.ts";
import { memory, start } from "./start.ts";

export const MEASURES: readonly Measure[] = [
  grant,
  refuse,
  overshoot,
  status,
  batch,
  admission,
  events,
  harvest,
  sweep,
  reset,
  dump,
  start,
  memory,
];

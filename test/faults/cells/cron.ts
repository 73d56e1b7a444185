import type { FlowTable } from "../matrix.ts";

export const cron: FlowTable = {
  name: "cron",
  title: "A cron tick",
  use: "The tick of the harvest. It becomes a job, written down before the tick is acknowledged; the same tick, delivered again 11 s later, is the same job, and creates an instance that is missing. (So does housekeeping, every five minutes.)",
  clean: "acknowledged; 1 job, 1 instance",
  cleanCharged: 0,
  targets: [
    {
      part: "d1",
      at: "INTO jobs",
      words: "writing the job down",
      cells: [
        ["before", "failed: The database did not answer.; no job, no instance", 0, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["after", "failed: The database did not answer.; 1 job, no instance", 0, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["hangs", "failed: The database did not answer.; 1 job, no instance", 30, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["slow", "acknowledged; 1 job, 1 instance", 1.5, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["nonsense", "acknowledged; 1 job, no instance", 0, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["minute", "failed: The database did not answer.; no job, no instance", 0, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["restarts", "failed: The database did not answer.; 1 job, no instance", 0, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
      ],
    },
    {
      part: "workflows",
      at: "create",
      words: "creating its instance",
      cells: [
        ["before", "acknowledged; 1 job, no instance", 0, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["after", "acknowledged; 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["hangs", "acknowledged; 1 job, 1 instance", 5, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["slow", "acknowledged; 1 job, 1 instance", 1.5, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["nonsense", "acknowledged; 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["minute", "acknowledged; 1 job, no instance", 0, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["restarts", "acknowledged; 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
      ],
    },
    {
      part: "collector",
      at: "POST /v1/traces",
      words: "sending the trace",
      cells: [
        ["before", "acknowledged; 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["after", "acknowledged; 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["hangs", "acknowledged; 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["slow", "acknowledged; 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["nonsense", "acknowledged; 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["minute", "acknowledged; 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
        ["restarts", "acknowledged; 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged; 1 job, 1 instance", 0],
      ],
    },
  ],
};

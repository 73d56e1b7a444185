import type { FlowTable } from "../matrix.ts";

export const cron: FlowTable = {
  name: "cron",
  title: "A cron tick",
  use: "The cron tick of the harvest. The Worker records a job before it acknowledges the tick. Then the same tick arrives again, 11 s later. It must find the same job and create a missing instance. Housekeeping does the same every five minutes.",
  clean: "acknowledged, 1 job, 1 instance",
  cleanCharged: 0,
  targets: [
    {
      part: "d1",
      at: "INTO jobs",
      operation: "recording the job",
      cells: [
        ["before", "not acknowledged, no job, no instance", 0, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["after", "not acknowledged, 1 job, no instance", 0, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["hangs", "not acknowledged, 1 job, no instance", 30, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["slow", "acknowledged, 1 job, 1 instance", 1.5, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["nonsense", "acknowledged, 1 job, no instance", 0, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["minute", "not acknowledged, no job, no instance", 0, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["restarts", "not acknowledged, 1 job, no instance", 0, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
      ],
    },
    {
      part: "workflows",
      at: "create",
      operation: "creating its instance",
      cells: [
        ["before", "acknowledged, 1 job, no instance", 0, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["after", "acknowledged, 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["hangs", "acknowledged, 1 job, 1 instance", 5, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["slow", "acknowledged, 1 job, 1 instance", 1.5, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["nonsense", "acknowledged, 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["minute", "acknowledged, 1 job, no instance", 0, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["restarts", "acknowledged, 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
      ],
    },
    {
      part: "collector",
      at: "POST /v1/traces",
      operation: "sending the trace",
      cells: [
        ["before", "acknowledged, 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["after", "acknowledged, 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["hangs", "acknowledged, 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["slow", "acknowledged, 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["nonsense", "acknowledged, 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["minute", "acknowledged, 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
        ["restarts", "acknowledged, 1 job, 1 instance", 0, 1, 0, 0, 0, "acknowledged, 1 job, 1 instance", 0],
      ],
    },
  ],
};

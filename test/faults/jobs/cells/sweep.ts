import type { FlowTable } from "../../matrix.ts";

export const sweep: FlowTable = {
  name: "sweep",
  title: "The sweep",
  use: "The hourly cron starts `check_usage_limits` for two projects: one at its cap, one at 85% of it. Later: the sweep of the next hour.",
  clean: "completed: 1 suspended, 1 warned",
  cleanCharged: 0,
  targets: [
    {
      part: "d1",
      at: "INSERT INTO jobs (id, type, status, payload",
      operation: "recording the job",
      cells: [
        ["before", "tick not acknowledged", 0, 1, 0, 0, 0, "completed: 1 suspended, 1 warned", 0],
        ["after", "tick not acknowledged", 0, 1, 0, 0, 0, "completed: 1 suspended, 1 warned (housekeeping: jobs)", 0],
        ["hangs", "tick not acknowledged", 30, 1, 0, 0, 0, "completed: 1 suspended, 1 warned (housekeeping: jobs)", 0],
        ["slow", "completed: 1 suspended, 1 warned", 1.5, 1, 0, 0, 0, "completed", 0],
        ["nonsense", "queued", 0, 1, 0, 0, 0, "completed: 1 suspended, 1 warned (housekeeping: jobs)", 0],
        ["minute", "tick not acknowledged", 0, 1, 0, 0, 0, "completed: 1 suspended, 1 warned", 0],
        ["restarts", "tick not acknowledged", 0, 1, 0, 0, 0, "completed: 1 suspended, 1 warned (housekeeping: jobs)", 0],
      ],
    },
    {
      part: "workflows",
      at: "create check_usage_limits",
      operation: "creating the instance",
      cells: [
        ["before", "queued", 0, 1, 0, 0, 0, "completed: 1 suspended, 1 warned (housekeeping: jobs)", 0],
        ["after", "completed: 1 suspended, 1 warned", 0, 1, 0, 0, 0, "completed", 0],
        ["hangs", "completed: 1 suspended, 1 warned", 5, 1, 0, 0, 0, "completed", 0],
        ["slow", "completed: 1 suspended, 1 warned", 1.5, 1, 0, 0, 0, "completed", 0],
        ["nonsense", "completed: 1 suspended, 1 warned", 0, 1, 0, 0, 0, "completed", 0],
        ["minute", "queued", 0, 1, 0, 0, 0, "completed: 1 suspended, 1 warned (housekeeping: jobs)", 0],
        ["restarts", "completed: 1 suspended, 1 warned", 0, 1, 0, 0, 0, "completed", 0],
      ],
    },
    {
      part: "workflows",
      at: "step page 1",
      operation: "the step for page 1",
      cells: [
        ["before", "failed: Worker died", 15, 3, 0, 0, 0, "completed: 1 suspended, 1 warned", 0],
        ["after", "failed: Worker died", 15, 3, 0, 0, 0, "completed", 0],
        ["restarts", "completed: 1 suspended, 1 warned", 5, 2, 0, 0, 0, "completed", 0],
      ],
    },
    {
      part: "d1",
      at: "max(id) AS last",
      operation: "reading the next page of projects",
      cells: [
        ["before", "failed: storage_unavailable", 15, 3, 0, 0, 0, "completed: 1 suspended, 1 warned", 0],
        ["after", "failed: storage_unavailable", 15, 3, 0, 0, 0, "completed: 1 suspended, 1 warned", 0],
        ["hangs", "failed: storage_unavailable", 105, 3, 0, 0, 0, "completed: 1 suspended, 1 warned", 0],
        ["slow", "completed: 1 suspended, 1 warned", 3, 2, 0, 0, 0, "completed", 0],
        ["nonsense", "completed", 0, 1, 0, 0, 0, "completed: 1 suspended, 1 warned", 0],
        ["minute", "failed: storage_unavailable", 15, 3, 0, 0, 0, "completed: 1 suspended, 1 warned", 0],
        ["restarts", "completed: 1 suspended, 1 warned", 5, 3, 0, 0, 0, "completed", 0],
      ],
    },
    {
      part: "d1",
      at: "INTO evaluations",
      operation: "storing the decisions",
      cells: [
        ["before", "failed: storage_unavailable", 15, 3, 0, 0, 0, "completed: 1 suspended, 1 warned", 0],
        ["after", "failed: storage_unavailable", 15, 3, 0, 0, 0, "completed", 0],
        ["hangs", "failed: storage_unavailable", 105, 3, 0, 0, 0, "completed", 0],
        ["slow", "completed: 1 suspended, 1 warned", 1.5, 1, 0, 0, 0, "completed", 0],
        ["nonsense", "completed", 0, 1, 0, 0, 0, "completed", 0],
        ["minute", "failed: storage_unavailable", 15, 3, 0, 0, 0, "completed: 1 suspended, 1 warned", 0],
        ["restarts", "completed: 1 suspended, 1 warned", 5, 2, 0, 0, 0, "completed", 0],
      ],
    },
  ],
};

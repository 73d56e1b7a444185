import type { FlowTable } from "../../matrix.ts";

export const reset: FlowTable = {
  name: "reset",
  title: "The monthly reset",
  use: "The daily cron starts `reset_quotas`. The billing period of one organization has ended. Later: the reset of the next day.",
  clean: "completed: 1 closed",
  cleanCharged: 0,
  targets: [
    {
      part: "workflows",
      at: "step execute",
      operation: "the job's step",
      cells: [
        ["before", "failed: Worker died", 35, 4, 0, 0, 0, "completed: 1 closed", 0],
        ["after", "failed: Worker died", 35, 4, 0, 0, 0, "completed", 0],
        ["restarts", "completed", 5, 2, 0, 0, 0, "completed", 0],
      ],
    },
    {
      part: "d1",
      at: "AS first_open",
      operation: "finding ended periods",
      cells: [
        ["before", "failed: storage_unavailable", 35, 4, 0, 0, 0, "completed: 1 closed", 0],
        ["after", "failed: storage_unavailable", 35, 4, 0, 0, 0, "completed: 1 closed", 0],
        ["hangs", "failed: storage_unavailable", 155, 4, 0, 0, 0, "completed: 1 closed", 0],
        ["slow", "completed: 1 closed", 3, 2, 0, 0, 0, "completed", 0],
        ["nonsense", "completed", 0, 1, 0, 0, 0, "completed: 1 closed", 0],
        ["minute", "failed: storage_unavailable", 35, 4, 0, 0, 0, "completed: 1 closed", 0],
        ["restarts", "completed: 1 closed", 5, 3, 0, 0, 0, "completed", 0],
      ],
    },
    {
      part: "d1",
      at: "UPDATE billing_periods SET closed_at",
      operation: "closing the periods",
      cells: [
        ["before", "failed: storage_unavailable", 35, 4, 0, 0, 0, "completed: 1 closed", 0],
        ["after", "completed", 5, 1, 0, 0, 0, "completed", 0],
        ["hangs", "completed", 35, 1, 0, 0, 0, "completed", 0],
        ["slow", "completed: 1 closed", 1.5, 1, 0, 0, 0, "completed", 0],
        ["nonsense", "completed: 1 closed", 0, 1, 0, 0, 0, "completed", 0],
        ["minute", "failed: storage_unavailable", 35, 4, 0, 0, 0, "completed: 1 closed", 0],
        ["restarts", "completed", 5, 1, 0, 0, 0, "completed", 0],
      ],
    },
  ],
};

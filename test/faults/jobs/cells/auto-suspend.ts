import type { FlowTable } from "../../matrix.ts";

export const autoSuspend: FlowTable = {
  name: "auto-suspend",
  title: "The response to abuse",
  use: "`auto_suspend` for a project at 50 times its baseline. Later: a retry if the job failed.",
  clean: "completed, suspended",
  cleanCharged: 0,
  targets: [
    {
      part: "workflows",
      at: "step decide",
      operation: "the job's step",
      cells: [
        ["before", "failed: Worker died, not suspended", 0, 1, 0, 0, 0, "retried: completed, suspended", 0],
        ["after", "failed: Worker died, suspended", 0, 1, 0, 0, 0, "retried: completed, suspended", 0],
        ["restarts", "failed: Worker died, suspended", 0, 1, 0, 0, 0, "retried: completed, suspended", 0],
      ],
    },
    {
      part: "d1",
      at: "SELECT * FROM abuse_detections",
      operation: "reading earlier decisions",
      cells: [
        ["before", "failed: storage_unavailable, not suspended", 0, 1, 0, 0, 0, "retried: completed, suspended", 0],
        ["after", "failed: storage_unavailable, not suspended", 0, 1, 0, 0, 0, "retried: completed, suspended", 0],
        ["hangs", "failed: storage_unavailable, not suspended", 30, 1, 0, 0, 0, "retried: completed, suspended", 0],
        ["slow", "completed, suspended", 3, 2, 0, 0, 0, "completed, suspended", 0],
        ["nonsense", "failed, suspended", 0, 2, 0, 0, 0, "retried: completed, suspended", 0],
        ["minute", "failed: storage_unavailable, not suspended", 0, 1, 0, 0, 0, "retried: completed, suspended", 0],
        ["restarts", "failed: storage_unavailable, not suspended", 0, 1, 0, 0, 0, "retried: completed, suspended", 0],
      ],
    },
    {
      part: "d1",
      at: "FROM project_minutes",
      operation: "reading the measurements",
      cells: [
        ["before", "failed: storage_unavailable, not suspended", 0, 1, 0, 0, 0, "retried: completed, suspended", 0],
        ["after", "failed: storage_unavailable, not suspended", 0, 1, 0, 0, 0, "retried: completed, suspended", 0],
        ["hangs", "failed: storage_unavailable, not suspended", 30, 1, 0, 0, 0, "retried: completed, suspended", 0],
        ["slow", "completed, suspended", 1.5, 1, 0, 0, 0, "completed, suspended", 0],
        ["nonsense", "completed, not suspended", 0, 1, 0, 0, 0, "completed, not suspended", 0],
        ["minute", "failed: storage_unavailable, not suspended", 0, 1, 0, 0, 0, "retried: completed, suspended", 0],
        ["restarts", "failed: storage_unavailable, not suspended", 0, 1, 0, 0, 0, "retried: completed, suspended", 0],
      ],
    },
    {
      part: "d1",
      at: "INTO abuse_detections",
      operation: "storing the suspension and the decision",
      cells: [
        ["before", "failed: storage_unavailable, not suspended", 0, 1, 0, 0, 0, "retried: completed, suspended", 0],
        ["after", "failed: storage_unavailable, suspended", 0, 1, 0, 0, 0, "retried: completed, suspended", 0],
        ["hangs", "failed: storage_unavailable, suspended", 30, 1, 0, 0, 0, "retried: completed, suspended", 0],
        ["slow", "completed, suspended", 1.5, 1, 0, 0, 0, "completed, suspended", 0],
        ["nonsense", "completed, suspended", 0, 1, 0, 0, 0, "completed, suspended", 0],
        ["minute", "failed: storage_unavailable, not suspended", 0, 1, 0, 0, 0, "retried: completed, suspended", 0],
        ["restarts", "failed: storage_unavailable, suspended", 0, 1, 0, 0, 0, "retried: completed, suspended", 0],
      ],
    },
  ],
};

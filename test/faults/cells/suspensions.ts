import type { FlowTable } from "../matrix.ts";

export const suspend: FlowTable = {
  name: "suspend",
  title: "Suspend a project",
  use: "`POST /api/projects/{id}/suspend` with the admin token. The Worker dispatches the event to webhooks after the response. If that fails, housekeeping dispatches it.",
  clean: "200, suspended, no pending event",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "d1",
      at: "FROM projects p",
      operation: "reading the project",
      cells: [
        ["before", "503 storage_unavailable, not suspended, no pending event", 0, 1, 0, 0, 0, "200, suspended, no pending event", 0],
        ["after", "503 storage_unavailable, not suspended, no pending event", 0, 1, 0, 0, 0, "200, suspended, no pending event", 0],
        ["hangs", "503 storage_unavailable, not suspended, no pending event", 30, 1, 0, 0, 0, "200, suspended, no pending event", 0],
        ["slow", "200, suspended, no pending event", 3, 2, 0, 0, 0, "200, suspended, no pending event", 0],
        ["nonsense", "404 not_found, not suspended, no pending event", 0, 1, 0, 0, 0, "200, suspended, no pending event", 0],
        ["minute", "503 storage_unavailable, not suspended, no pending event", 0, 1, 0, 0, 0, "200, suspended, no pending event", 0],
        ["restarts", "503 storage_unavailable, not suspended, no pending event", 0, 1, 0, 0, 0, "200, suspended, no pending event", 0],
      ],
    },
    {
      part: "d1",
      at: "UPDATE projects SET changed_by",
      operation: "storing the suspension, its audit entry and its event",
      cells: [
        ["before", "503 storage_unavailable, not suspended, no pending event", 0, 1, 0, 0, 0, "200, suspended, no pending event", 0],
        ["after", "503 storage_unavailable, suspended, 1 pending event", 0, 1, 0, 0, 0, "200, suspended, no pending event", 0],
        ["hangs", "503 storage_unavailable, suspended, 1 pending event", 30, 1, 0, 0, 0, "200, suspended, no pending event", 0],
        ["slow", "200, suspended, no pending event", 1.5, 1, 0, 0, 0, "200, suspended, no pending event", 0],
        ["nonsense", "200, suspended, no pending event", 0, 1, 0, 0, 0, "200, suspended, no pending event", 0],
        ["minute", "503 storage_unavailable, not suspended, no pending event", 0, 1, 0, 0, 0, "200, suspended, no pending event", 0],
        ["restarts", "503 storage_unavailable, suspended, 1 pending event", 0, 1, 0, 0, 0, "200, suspended, no pending event", 0],
      ],
    },
    {
      part: "d1",
      at: "FROM events|UPDATE events|FROM webhook_deliveries",
      operation: "dispatching the event, in the background",
      cells: [
        ["before", "200, suspended, 1 pending event", 0, 1, 0, 0, 0, "200, suspended, no pending event", 0],
        ["after", "200, suspended, 1 pending event", 0, 1, 0, 0, 0, "200, suspended, no pending event", 0],
        ["hangs", "200, suspended, 1 pending event", 0, 1, 0, 0, 0, "200, suspended, no pending event", 0],
        ["slow", "200, suspended, no pending event", 0, 4, 0, 0, 0, "200, suspended, no pending event", 0],
        ["nonsense", "200, suspended, 1 pending event", 0, 3, 0, 0, 0, "200, suspended, no pending event", 0],
        ["minute", "200, suspended, 1 pending event", 0, 1, 0, 0, 0, "200, suspended, no pending event", 0],
        ["restarts", "200, suspended, 1 pending event", 0, 1, 0, 0, 0, "200, suspended, no pending event", 0],
      ],
    },
  ],
};

import type { FlowTable } from "../../matrix.ts";

export const rotateKey: FlowTable = {
  name: "rotate-key",
  title: "Rotate a key",
  use: "`rotate_key` with the hash of a new key. The job adds a version and ends the earlier version 24 hours later. Later: a retry if the job failed, and housekeeping two hours later.",
  clean: "completed, 2 versions, the first ended",
  cleanCharged: 0,
  targets: [
    {
      part: "workflows",
      at: "step look for the key",
      operation: "the step that finds the key",
      cells: [
        ["before", "failed: Worker died, 1 version", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["after", "failed: Worker died, 1 version", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["restarts", "failed: Worker died, 1 version", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
      ],
    },
    {
      part: "d1",
      at: "SELECT project_id FROM api_keys",
      operation: "finding the key",
      cells: [
        ["before", "failed: storage_unavailable, 1 version", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["after", "failed: storage_unavailable, 1 version", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["hangs", "failed: storage_unavailable, 1 version", 30, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["slow", "completed, 2 versions, the first ended", 86401.5, 1, 0, 0, 0, "completed, 2 versions, the first ended", 0],
        ["nonsense", "failed, 1 version", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["minute", "failed: storage_unavailable, 1 version", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["restarts", "failed: storage_unavailable, 1 version", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
      ],
    },
    {
      part: "workflows",
      at: "step rotate",
      operation: "the step that adds the version",
      cells: [
        ["before", "failed: Worker died, 1 version", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["after", "failed: Worker died, 2 versions", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["restarts", "failed: Worker died, 2 versions", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
      ],
    },
    {
      part: "d1",
      at: "INTO api_key_versions",
      operation: "adding the version",
      cells: [
        ["before", "failed: storage_unavailable, 1 version", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["after", "failed: storage_unavailable, 2 versions", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["hangs", "failed: storage_unavailable, 2 versions", 30, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["slow", "completed, 2 versions, the first ended", 86400, 1, 0, 0, 0, "completed, 2 versions, the first ended", 0],
        ["nonsense", "completed, 2 versions, the first ended", 86400, 1, 0, 0, 0, "completed, 2 versions, the first ended", 0],
        ["minute", "failed: storage_unavailable, 1 version", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["restarts", "failed: storage_unavailable, 2 versions", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
      ],
    },
    {
      part: "workflows",
      at: "step end the grace",
      operation: "the step that ends the grace period",
      cells: [
        ["before", "failed: Worker died, 2 versions", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["after", "failed: Worker died, 2 versions", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["restarts", "failed: Worker died, 2 versions", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
      ],
    },
    {
      part: "d1",
      at: "UPDATE api_key_versions SET grace_ended_at",
      operation: "ending the earlier version",
      cells: [
        ["before", "failed: storage_unavailable, 1 version", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["after", "failed: storage_unavailable, 2 versions", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["hangs", "failed: storage_unavailable, 2 versions", 30, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["slow", "completed, 2 versions, the first ended", 86401.5, 3, 0, 0, 0, "completed, 2 versions, the first ended", 0],
        ["nonsense", "failed, 2 versions", 0, 2, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["minute", "failed: storage_unavailable, 1 version", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
        ["restarts", "failed: storage_unavailable, 2 versions", 0, 1, 0, 0, 0, "retried: completed, 2 versions, the first ended", 0],
      ],
    },
  ],
};

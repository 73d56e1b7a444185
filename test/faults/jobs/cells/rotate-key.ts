import type { FlowTable } from "../../matrix.ts";

export const rotateKey: FlowTable = {
  name: "rotate-key",
  title: "Rotating a key as a job",
  use: "`rotate_key` with the hash of a new key: a new version, and 24 hours later the end of the earlier one. Then: what has failed is retried, and housekeeping runs two hours later.",
  clean: "completed; 2 versions, the first has ended",
  cleanCharged: 0,
  targets: [
    {
      part: "workflows",
      at: "step look for the key",
      words: "the step that looks for the key",
      cells: [
        ["before", "failed: The Worker died; 1 version", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["after", "failed: The Worker died; 1 version", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["restarts", "failed: The Worker died; 1 version", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
      ],
    },
    {
      part: "d1",
      at: "SELECT project_id FROM api_keys",
      words: "looking for it",
      cells: [
        ["before", "failed: storage_unavailable; 1 version", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["after", "failed: storage_unavailable; 1 version", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["hangs", "failed: storage_unavailable; 1 version", 30, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["slow", "completed; 2 versions, the first has ended", 86401.5, 1, 0, 0, 0, "completed; 2 versions, the first has ended", 0],
        ["nonsense", "failed: There is no key; 1 version", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["minute", "failed: storage_unavailable; 1 version", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["restarts", "failed: storage_unavailable; 1 version", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
      ],
    },
    {
      part: "workflows",
      at: "step rotate",
      words: "the step that makes the version",
      cells: [
        ["before", "failed: The Worker died; 1 version", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["after", "failed: The Worker died; 2 versions", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["restarts", "failed: The Worker died; 2 versions", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
      ],
    },
    {
      part: "d1",
      at: "INTO api_key_versions",
      words: "making it",
      cells: [
        ["before", "failed: storage_unavailable; 1 version", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["after", "failed: storage_unavailable; 2 versions", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["hangs", "failed: storage_unavailable; 2 versions", 30, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["slow", "completed; 2 versions, the first has ended", 86400, 1, 0, 0, 0, "completed; 2 versions, the first has ended", 0],
        ["nonsense", "completed; 2 versions, the first has ended", 86400, 1, 0, 0, 0, "completed; 2 versions, the first has ended", 0],
        ["minute", "failed: storage_unavailable; 1 version", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["restarts", "failed: storage_unavailable; 2 versions", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
      ],
    },
    {
      part: "workflows",
      at: "step end the grace",
      words: "the step that ends the grace",
      cells: [
        ["before", "failed: The Worker died; 2 versions", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["after", "failed: The Worker died; 2 versions", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["restarts", "failed: The Worker died; 2 versions", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
      ],
    },
    {
      part: "d1",
      at: "UPDATE api_key_versions SET grace_ended_at",
      words: "writing its end down",
      cells: [
        ["before", "failed: storage_unavailable; 1 version", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["after", "failed: storage_unavailable; 2 versions", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["hangs", "failed: storage_unavailable; 2 versions", 30, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["slow", "completed; 2 versions, the first has ended", 86401.5, 3, 0, 0, 0, "completed; 2 versions, the first has ended", 0],
        ["nonsense", "failed: Invalid time value; 2 versions", 0, 2, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["minute", "failed: storage_unavailable; 1 version", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
        ["restarts", "failed: storage_unavailable; 2 versions", 0, 1, 0, 0, 0, "retried: completed; 2 versions, the first has ended", 0],
      ],
    },
  ],
};

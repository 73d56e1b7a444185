import type { FlowTable } from "../matrix.ts";

export const createKey: FlowTable = {
  name: "create-key",
  title: "Create an API key",
  use: "`POST /api/projects/{id}/keys` with the admin token.",
  clean: "201, 1 new key",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "d1",
      at: "FROM projects p|AS live",
      operation: "reading the project and its keys",
      cells: [
        ["before", "503 storage_unavailable, no new key", 0, 1, 0, 0, 0, "201, 1 new key", 0],
        ["after", "503 storage_unavailable, no new key", 0, 1, 0, 0, 0, "201, 1 new key", 0],
        ["hangs", "503 storage_unavailable, no new key", 30, 1, 0, 0, 0, "201, 1 new key", 0],
        ["slow", "201, 1 new key", 3, 2, 0, 0, 0, "201, 1 new key", 0],
        ["nonsense", "404 not_found, no new key", 0, 1, 0, 0, 0, "201, 1 new key", 0],
        ["minute", "503 storage_unavailable, no new key", 0, 1, 0, 0, 0, "201, 1 new key", 0],
        ["restarts", "503 storage_unavailable, no new key", 0, 1, 0, 0, 0, "201, 1 new key", 0],
      ],
    },
    {
      part: "d1",
      at: "UPDATE projects SET changed_by",
      operation: "storing the key and its audit entry",
      cells: [
        ["before", "503 storage_unavailable, no new key", 0, 1, 0, 0, 0, "201, 1 new key", 0],
        ["after", "503 storage_unavailable, 1 new key", 0, 1, 0, 0, 0, "201, 1 new key", 0],
        ["hangs", "503 storage_unavailable, 1 new key", 30, 1, 0, 0, 0, "201, 1 new key", 0],
        ["slow", "201, 1 new key", 1.5, 1, 0, 0, 0, "201, 1 new key", 0],
        ["nonsense", "201, 1 new key", 0, 1, 0, 0, 0, "201, 1 new key", 0],
        ["minute", "503 storage_unavailable, no new key", 0, 1, 0, 0, 0, "201, 1 new key", 0],
        ["restarts", "503 storage_unavailable, 1 new key", 0, 1, 0, 0, 0, "201, 1 new key", 0],
      ],
    },
  ],
  covered: [{ part: "d1", at: "FROM events|FROM webhook_deliveries", flow: "suspend" }],
};

export const revokeKey: FlowTable = {
  name: "revoke-key",
  title: "Revoke an API key",
  use: "`DELETE /api/projects/{id}/keys/{key_id}` with the admin token.",
  clean: "200, key revoked",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "d1",
      at: "SELECT p.*|SELECT k.",
      operation: "reading the project and the key",
      cells: [
        ["before", "503 storage_unavailable, key still valid", 0, 1, 0, 0, 0, "200, key revoked", 0],
        ["after", "503 storage_unavailable, key still valid", 0, 1, 0, 0, 0, "200, key revoked", 0],
        ["hangs", "503 storage_unavailable, key still valid", 30, 1, 0, 0, 0, "200, key revoked", 0],
        ["slow", "200, key revoked", 4.5, 3, 0, 0, 0, "200, key revoked", 0],
        ["nonsense", "404 not_found, key still valid", 0, 1, 0, 0, 0, "200, key revoked", 0],
        ["minute", "503 storage_unavailable, key still valid", 0, 1, 0, 0, 0, "200, key revoked", 0],
        ["restarts", "503 storage_unavailable, key still valid", 0, 1, 0, 0, 0, "200, key revoked", 0],
      ],
    },
    {
      part: "d1",
      at: "UPDATE projects SET changed_by",
      operation: "storing the revocation and its audit entry",
      cells: [
        ["before", "503 storage_unavailable, key still valid", 0, 1, 0, 0, 0, "200, key revoked", 0],
        ["after", "503 storage_unavailable, key revoked", 0, 1, 0, 0, 0, "200, key revoked", 0],
        ["hangs", "503 storage_unavailable, key revoked", 30, 1, 0, 0, 0, "200, key revoked", 0],
        ["slow", "200, key revoked", 1.5, 1, 0, 0, 0, "200, key revoked", 0],
        ["nonsense", "200, key revoked", 0, 1, 0, 0, 0, "200, key revoked", 0],
        ["minute", "503 storage_unavailable, key still valid", 0, 1, 0, 0, 0, "200, key revoked", 0],
        ["restarts", "503 storage_unavailable, key revoked", 0, 1, 0, 0, 0, "200, key revoked", 0],
      ],
    },
  ],
  covered: [{ part: "d1", at: "FROM events|FROM webhook_deliveries", flow: "suspend" }],
};

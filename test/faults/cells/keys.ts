import type { FlowTable } from "../matrix.ts";

export const createKey: FlowTable = {
  name: "create-key",
  title: "Making an API key",
  use: "`POST /api/projects/{id}/keys` by the administrator.",
  clean: "201; 1 key more",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "d1",
      at: "FROM projects p|AS live",
      words: "reading the project and its keys",
      cells: [
        ["before", "503 storage_unavailable, again after 5 s; no key more", 0, 1, 0, 0, 0, "201; 1 key more", 0],
        ["after", "503 storage_unavailable, again after 5 s; no key more", 0, 1, 0, 0, 0, "201; 1 key more", 0],
        ["hangs", "503 storage_unavailable, again after 5 s; no key more", 30, 1, 0, 0, 0, "201; 1 key more", 0],
        ["slow", "201; 1 key more", 3, 2, 0, 0, 0, "201; 1 key more", 0],
        ["nonsense", "404 not_found; no key more", 0, 1, 0, 0, 0, "201; 1 key more", 0],
        ["minute", "503 storage_unavailable, again after 5 s; no key more", 0, 1, 0, 0, 0, "201; 1 key more", 0],
        ["restarts", "503 storage_unavailable, again after 5 s; no key more", 0, 1, 0, 0, 0, "201; 1 key more", 0],
      ],
    },
    {
      part: "d1",
      at: "UPDATE projects SET changed_by",
      words: "writing the key and its audit entry",
      cells: [
        ["before", "503 storage_unavailable, again after 5 s; no key more", 0, 1, 0, 0, 0, "201; 1 key more", 0],
        ["after", "503 storage_unavailable, again after 5 s; 1 key more", 0, 1, 0, 0, 0, "201; 1 key more", 0],
        ["hangs", "503 storage_unavailable, again after 5 s; 1 key more", 30, 1, 0, 0, 0, "201; 1 key more", 0],
        ["slow", "201; 1 key more", 1.5, 1, 0, 0, 0, "201; 1 key more", 0],
        ["nonsense", "201; 1 key more", 0, 1, 0, 0, 0, "201; 1 key more", 0],
        ["minute", "503 storage_unavailable, again after 5 s; no key more", 0, 1, 0, 0, 0, "201; 1 key more", 0],
        ["restarts", "503 storage_unavailable, again after 5 s; 1 key more", 0, 1, 0, 0, 0, "201; 1 key more", 0],
      ],
    },
  ],
  elsewhere: [{ part: "d1", at: "FROM events|FROM webhook_deliveries", flow: "suspend" }],
};

export const revokeKey: FlowTable = {
  name: "revoke-key",
  title: "Revoking an API key",
  use: "`DELETE /api/projects/{id}/keys/{key_id}` by the administrator.",
  clean: "200; the key opens nothing",
  cleanCharged: 0,
  traced: false,
  targets: [
    {
      part: "d1",
      at: "SELECT p.*|SELECT k.",
      words: "reading the project and the key",
      cells: [
        ["before", "503 storage_unavailable, again after 5 s; the key works", 0, 1, 0, 0, 0, "200; the key opens nothing", 0],
        ["after", "503 storage_unavailable, again after 5 s; the key works", 0, 1, 0, 0, 0, "200; the key opens nothing", 0],
        ["hangs", "503 storage_unavailable, again after 5 s; the key works", 30, 1, 0, 0, 0, "200; the key opens nothing", 0],
        ["slow", "200; the key opens nothing", 4.5, 3, 0, 0, 0, "200; the key opens nothing", 0],
        ["nonsense", "404 not_found; the key works", 0, 1, 0, 0, 0, "200; the key opens nothing", 0],
        ["minute", "503 storage_unavailable, again after 5 s; the key works", 0, 1, 0, 0, 0, "200; the key opens nothing", 0],
        ["restarts", "503 storage_unavailable, again after 5 s; the key works", 0, 1, 0, 0, 0, "200; the key opens nothing", 0],
      ],
    },
    {
      part: "d1",
      at: "UPDATE projects SET changed_by",
      words: "writing the end of the key and its audit entry",
      cells: [
        ["before", "503 storage_unavailable, again after 5 s; the key works", 0, 1, 0, 0, 0, "200; the key opens nothing", 0],
        ["after", "503 storage_unavailable, again after 5 s; the key opens nothing", 0, 1, 0, 0, 0, "200; the key opens nothing", 0],
        ["hangs", "503 storage_unavailable, again after 5 s; the key opens nothing", 30, 1, 0, 0, 0, "200; the key opens nothing", 0],
        ["slow", "200; the key opens nothing", 1.5, 1, 0, 0, 0, "200; the key opens nothing", 0],
        ["nonsense", "200; the key opens nothing", 0, 1, 0, 0, 0, "200; the key opens nothing", 0],
        ["minute", "503 storage_unavailable, again after 5 s; the key works", 0, 1, 0, 0, 0, "200; the key opens nothing", 0],
        ["restarts", "503 storage_unavailable, again after 5 s; the key opens nothing", 0, 1, 0, 0, 0, "200; the key opens nothing", 0],
      ],
    },
  ],
  elsewhere: [{ part: "d1", at: "FROM events|FROM webhook_deliveries", flow: "suspend" }],
};

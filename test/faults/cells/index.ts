/** All request flows of the matrix, in the order in which the page lists them. */
import type { FlowTable } from "../matrix.ts";
import { batch } from "./batch.ts";
import { bibliography } from "./bibliography.ts";
import { cron } from "./cron.ts";
import { newReleases } from "./new-releases.ts";
import { projectBatch } from "./project-batch.ts";
import { enforcement, enforcementWithoutLedger, reset, settings, usage } from "./quota-admin.ts";
import { recovery } from "./recovery.ts";
import { commit, release, reserve } from "./reservations.ts";
import { status, statusFromSnapshot, statusWithoutLedger } from "./status.ts";
import { createKey, revokeKey } from "./keys.ts";
import { caps, createProject } from "./projects.ts";
import { suspend } from "./suspensions.ts";
import { workerDies } from "./worker-dies.ts";
import { metrics, operatorsPage, page, projectsPage } from "./watching.ts";

export const FLOWS: readonly FlowTable[] = [
  batch,
  projectBatch,
  workerDies,
  bibliography,
  newReleases,
  recovery,
  reserve,
  commit,
  release,
  status,
  statusFromSnapshot,
  statusWithoutLedger,
  cron,
  usage,
  settings,
  reset,
  enforcement,
  enforcementWithoutLedger,
  createProject,
  caps,
  suspend,
  createKey,
  revokeKey,
  metrics,
  page,
  operatorsPage,
  projectsPage,
];

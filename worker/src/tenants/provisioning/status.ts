/** Progress of a project's creation, as the API returns it. No I/O. No clock. */
import { SERVICES } from "../../services/registration.ts";
import type { ProjectView } from "../../store/projects/projects.ts";
import type { ProvisioningStatus } from "../../store/provisioning/provisionings.ts";
import { isoOrNull } from "../../lib/time.ts";

export const STEP_STATUSES = ["pending", "running", "done", "local", "failed"] as const;
type StepStatus = (typeof STEP_STATUSES)[number];

/** In this order. A rollback runs in the opposite order. */
export const PROVISIONING_STEPS = ["database", ...SERVICES, "key"] as const;
export type ProvisioningStep = (typeof PROVISIONING_STEPS)[number];

interface ProvisioningView {
  readonly status: ProvisioningStatus;
  readonly job_id: string | null;
  readonly steps: { step: ProvisioningStep; status: StepStatus; at: string | null }[];
  readonly error: string | null;
}

export function provisioningJson({ provisioning: status, provisioned }: ProjectView): ProvisioningView {
  if (provisioned === null) return { status, job_id: null, steps: [], error: null };
  const { database_at, ended_at, failed_step, job_id, error, registrations } = provisioned;
  const progressOf = (step: ProvisioningStep): { readonly at: number | null; readonly done: StepStatus | null } => {
    if (step === "database") return { at: database_at, done: database_at === null ? null : "done" };
    if (step === "key") return status === "done" ? { at: ended_at, done: "done" } : { at: null, done: null };
    const row = registrations.find(({ service }) => service === step);
    if (!row || row.status === "pending") return { at: null, done: null };
    return { at: row.registered_at, done: row.status === "local" ? "local" : "done" };
  };
  const current = status === "running" ? PROVISIONING_STEPS.find((step) => progressOf(step).done === null) : undefined;
  const steps = PROVISIONING_STEPS.map((step) => {
    const { at, done } = progressOf(step);
    const open: StepStatus = step === failed_step ? "failed" : step === current ? "running" : "pending";
    return { step, status: done ?? open, at: isoOrNull(at) };
  });
  return { status, job_id, steps, error };
}

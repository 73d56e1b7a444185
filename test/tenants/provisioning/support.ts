/** The state of one provisioning, and the housekeeping that resumes it. */
import { readProject } from "../../support/tenants/http.ts";

export const stepsOf = async (): Promise<string[]> => {
  const { provisioning } = (await readProject("shop")) as unknown as {
    provisioning: { status: string; steps: { step: string; status: string }[] };
  };
  return [provisioning.status, ...provisioning.steps.map(({ step, status }) => `${step} ${status}`)];
};

/** Wakes jobs after a restart, because local workerd forgets waiting Workflows. */

/**
 * Starts a job that resumes jobs from before `restartedAt` (epoch milliseconds). A failure loses nothing, because the next start retries.
 */
export async function wakeJobs(
  { url, token }: { url: string; token: string },
  restartedAt: number,
  onFailure: (message: string) => void,
): Promise<void> {
  const restarted_at = new Date(restartedAt).toISOString();
  const body = JSON.stringify({ type: "housekeeping", payload: { restarted_at }, idempotency_key: `restart:${restarted_at}` });
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  try {
    const answer = await fetch(`${url}/api/jobs`, { method: "POST", headers, body });
    const text = await answer.text();
    if (answer.status !== 202) throw new Error(`${answer.status} ${text}`);
  } catch (error) {
    onFailure(`Jobs of the last run were not resumed: ${String(error)}`);
  }
}

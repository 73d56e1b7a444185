/** Local workerd forgets what its Workflows were waiting for when it ends: the Worker is asked to wake them. */

/**
 * Asks for a job that wakes whatever was under way before `restartedAt` (epoch milliseconds). Nothing is lost where that fails: the next
 * start asks again.
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
    onFailure(`Jobs of the last run were not woken: ${String(error)}`);
  }
}

/** A tenant that replaces its key again and again, at once: only the newest may open anything. */
import type { Random } from "../random.ts";
import type { World } from "../world.ts";

export async function rotate({ storm, tenants }: World, random: Random, name: string): Promise<void> {
  const tenant = tenants.rotating;
  const old = tenant.key;
  const path = `/api/projects/${tenant.id}/keys/${tenant.keyId}/rotate`;
  // One that is lost is asked for once more by its name; its key was shown to nobody, so another one is asked for.
  for (let attempt = 0; ; attempt += 1) {
    const body = { immediate: true, idempotency_key: `${name}-${attempt}` };
    const answer = await storm.insist("rotate", { method: "POST", path, body });
    if (answer.status !== 200) return storm.journal.fault(`rotate: ${answer.status} ${answer.text}`);
    const shown = answer.body["key"];
    storm.journal.count("keys rotated");
    if (typeof shown === "string") {
      tenant.key = shown;
      break;
    }
    storm.journal.count("keys that nobody saw");
  }
  await storm.pause(random.whole(0, 300));
  const question = { path: `/api/projects/${tenant.id}/usage` };
  const [opened, refused] = [
    await storm.insist("new key", { ...question, token: tenant.key }),
    await storm.insist("old key", { ...question, token: old }),
  ];
  if (opened.status !== 200) storm.journal.fault(`a new key was refused: ${opened.status} ${opened.text}`);
  if (refused.status !== 401) storm.journal.fault(`an old key was answered ${refused.status} ${refused.text}`);
}

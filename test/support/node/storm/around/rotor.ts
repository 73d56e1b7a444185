/** A tenant that replaces its key repeatedly and immediately. Only the newest key may work. */
import type { Random } from "../random.ts";
import type { World } from "../world.ts";

export async function rotate({ storm, tenants }: World, random: Random, name: string): Promise<void> {
  const tenant = tenants.rotating;
  const old = tenant.key;
  const path = `/api/projects/${tenant.id}/keys/${tenant.keyId}/rotate`;
  // A lost rotation is repeated with its idempotency key. Its secret is lost, so another rotation follows.
  for (let attempt = 0; ; attempt += 1) {
    const body = { immediate: true, idempotency_key: `${name}-${attempt}` };
    const answer = await storm.insist("rotate", { method: "POST", path, body });
    if (answer.status !== 200) return storm.journal.fault(`rotate: ${answer.status} ${answer.text}`);
    const newKey = answer.body["key"];
    storm.journal.count("keys rotated");
    if (typeof newKey === "string") {
      tenant.key = newKey;
      break;
    }
    storm.journal.count("keys whose response was lost");
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

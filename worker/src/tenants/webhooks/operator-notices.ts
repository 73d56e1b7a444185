/**
 * Notices for operators about events that no other recipient may notice. For example, a disabled endpoint cannot receive that event itself.
 * Each is sent at least once.
 */
import type { Deps } from "../../deps.ts";
import { errorFields, log } from "../../lib/log.ts";
import { markOperatorsNotified, listPendingOperatorNotices } from "../../store/webhooks/operator-notices.ts";
import type { OperatorNotice } from "../../store/webhooks/operator-notices.ts";
import { TelegramError } from "../../telegram/index.ts";

/** Event types that operators are notified of. */
const FOR_OPERATORS = ["webhook.disabled", "abuse.detected", "project.provisioning_failed"] as const;

/** Maximum per pass. The next pass follows soon. */
const MAX_NOTICES = 50;

/** Sends the pending notices and returns their number. */
export async function sendOperatorNotices(deps: Pick<Deps, "db" | "clock" | "telegram">): Promise<number> {
  const { db, clock } = deps;
  const sent: number[] = [];
  for (const notice of await listPendingOperatorNotices(db, FOR_OPERATORS, MAX_NOTICES)) {
    try {
      await sendOperatorNotice(deps, notice);
      sent.push(notice.seq);
    } catch (error) {
      log.warn("Operator notice failed", { event_id: notice.id, ...errorFields(error) });
      // Telegram is unavailable. Stop, because the caller would wait for a timeout per notice.
      if (error instanceof TelegramError && error.retryable) break;
    }
  }
  await markOperatorsNotified(db, sent, clock());
  return sent.length;
}

/** Writes a log line, and sends a message if a bot is configured. Throws `TelegramError`. */
async function sendOperatorNotice(deps: Pick<Deps, "telegram">, { id, type, project_id, data }: OperatorNotice): Promise<void> {
  log.error("Operator notice", { event_id: id, event_type: type, project_id, event: JSON.parse(data) as unknown });
  await notifyOperators(deps, `${type}, project ${project_id}\n${shortened(data)}`);
}

/** Telegram accepts 4,096 characters. */
const MAX_MESSAGE_CHARACTERS = 3_500;
const shortened = (text: string): string => (text.length > MAX_MESSAGE_CHARACTERS ? `${text.slice(0, MAX_MESSAGE_CHARACTERS)}…` : text);

/** Sends a message to operators. Returns false if no bot is configured. Throws `TelegramError`. */
export async function notifyOperators({ telegram }: Pick<Deps, "telegram">, text: string): Promise<boolean> {
  await telegram?.sendMessage(text);
  return telegram !== null;
}

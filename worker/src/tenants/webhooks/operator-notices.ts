/**
 * What operators are told beside those who have webhooks, because it may be that nobody else hears of it: an endpoint that was disabled
 * cannot be told so itself. At least once each.
 */
import type { Deps } from "../../deps.ts";
import { errorFields, log } from "../../lib/log.ts";
import { markToldToOperators, untoldToOperators } from "../../store/webhooks/operator-notices.ts";
import type { OperatorNotice } from "../../store/webhooks/operator-notices.ts";
import { TelegramError } from "../../telegram/index.ts";

/** Event types that operators are told of. */
const FOR_OPERATORS = ["webhook.disabled", "abuse.detected", "project.provisioning_failed"] as const;

/** Of one pass; the next one comes soon. */
const MAX_NOTICES = 50;

/** Returns how many were told. */
export async function tellOperators(deps: Pick<Deps, "db" | "clock" | "telegram">): Promise<number> {
  const { db, clock } = deps;
  const told: number[] = [];
  for (const notice of await untoldToOperators(db, FOR_OPERATORS, MAX_NOTICES)) {
    try {
      await tellOperator(deps, notice);
      told.push(notice.seq);
    } catch (error) {
      log.warn("Operators could not be told; the next pass tries again", { event_id: notice.id, ...errorFields(error) });
      // It is away, and would be for the others too: whoever waits for this pass would wait for each of them.
      if (error instanceof TelegramError && error.retryable) break;
    }
  }
  await markToldToOperators(db, told, clock());
  return told.length;
}

/** An alarming line of the log, and a message where a bot is configured. Throws `TelegramError`. */
async function tellOperator(deps: Pick<Deps, "telegram">, { id, type, project_id, data }: OperatorNotice): Promise<void> {
  log.error(`Operators are to know: ${type}`, { event_id: id, event_type: type, project_id, event: JSON.parse(data) as unknown });
  await notifyOperators(deps, `${type}, project ${project_id}\n${shortened(data)}`);
}

/** Telegram takes 4,096 characters. */
const MAX_TOLD = 3_500;
const shortened = (text: string): string => (text.length > MAX_TOLD ? `${text.slice(0, MAX_TOLD)}…` : text);

/** A message to operators; false where no bot is configured. Throws `TelegramError`. */
export async function notifyOperators({ telegram }: Pick<Deps, "telegram">, text: string): Promise<boolean> {
  await telegram?.sendMessage(text);
  return telegram !== null;
}

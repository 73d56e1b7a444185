/** One delivery to a webhook, with its attempts and responses. */
import type { AttemptRow, DeliveryRow } from "../../store/webhooks/deliveries.ts";
import type { WebhookRow } from "../../store/webhooks/webhooks.ts";
import { formatCount, shortDuration } from "../format.ts";
import { DELIVERY_REASON_WORDS, maskedUrl } from "../outcomes.ts";
import { FormToken } from "../page.tsx";
import { Card, Facts, Heading, Json, None, State, Table, Time, TimeOrNone } from "../parts.tsx";
import type { Session } from "../session.ts";
import { Actor } from "../projects/history.tsx";

interface DeliveryPageProps {
  readonly row: DeliveryRow;
  readonly attempts: readonly AttemptRow[];
  /** null: deleted. */
  readonly webhook: WebhookRow | null;
  readonly session: Session;
  readonly now: number;
}

export function DeliveryPage({ row, attempts, webhook, session, now }: DeliveryPageProps) {
  const canSend = row.is_test === 0 && row.status !== "pending" && webhook?.status === "enabled";
  const project = `/projects/${row.project_id}`;
  return (
    <>
      <Heading title={row.event_type} above={<a href={`${project}#deliveries`}>{row.project_id}</a>}>
        <State name={row.status} />
        {canSend ? (
          <form method="post" action={`${project}/webhooks/deliveries/${row.id}/again`}>
            <FormToken session={session} />
            <button class="button primary" type="submit">
              Resend
            </button>
          </form>
        ) : null}
      </Heading>
      <div class="columns even">
        <Card title="About" id="about">
          <Facts
            all={[
              ["To", webhook === null ? "a deleted webhook" : maskedUrl(webhook.url)],
              ["Webhook", <code>{row.webhook_id}</code>],
              ["Message", <code>{row.message_id}</code>],
              ["Event", row.event_id === null ? "none (manual test)" : <code>{row.event_id}</code>],
              ["Run", row.run === 1 ? "1" : `${row.run} (resent)`],
              ["Attempts", formatCount(row.attempts)],
              ["Created", <Time at={row.created_at} now={now} />],
              ["Next attempt", <TimeOrNone at={row.next_attempt_at} now={now} />],
              ["Ended", <TimeOrNone at={row.ended_at} now={now} none="not yet" />],
              ["Reason", row.reason === null ? "–" : DELIVERY_REASON_WORDS[row.reason]],
              ["Job", row.job_id === null ? "–" : <Actor name={row.job_id} />],
            ]}
          />
        </Card>
        <Card title="Body" id="body">
          <Json value={JSON.parse(row.payload)} />
        </Card>
      </div>
      <Card title="Attempts" id="attempts">
        <Attempts attempts={attempts} now={now} />
      </Card>
    </>
  );
}

function Attempts({ attempts, now }: { readonly attempts: readonly AttemptRow[]; readonly now: number }) {
  return (
    <Table
      label="Attempts"
      rows={attempts}
      keyOf={({ run, attempt }) => `${run}-${attempt}`}
      none="No attempts yet."
      columns={[
        { name: "Run", number: true, cell: ({ run }) => String(run) },
        { name: "Attempt", number: true, cell: ({ attempt }) => String(attempt) },
        { name: "When", cell: ({ at }) => <Time at={at} now={now} /> },
        { name: "Duration", number: true, cell: ({ duration_ms: length }) => shortDuration(length) },
        { name: "Status", number: true, cell: ({ status_code: code }) => (code === null ? <None>none</None> : String(code)) },
        { name: "Error", cell: ({ error }) => (error === null ? <None /> : <div class="wide">{error}</div>) },
        { name: "Response", cell: ({ response }) => (response ? <span class="cut">{response}</span> : <None>empty</None>) },
      ]}
    />
  );
}

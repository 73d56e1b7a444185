/** One message to an endpoint, with every try and what came back. */
import type { AttemptRow, DeliveryRow } from "../../store/webhooks/deliveries.ts";
import type { WebhookRow } from "../../store/webhooks/webhooks.ts";
import { grouped, took } from "../format.ts";
import { DELIVERY_REASON_WORDS, shownAddress } from "../outcomes.ts";
import { FormToken } from "../page.tsx";
import { Card, Facts, Heading, Json, None, State, Table, Time, TimeOrNone } from "../parts.tsx";
import type { Session } from "../session.ts";
import { Actor } from "../projects/history.tsx";

interface DeliveryPageProps {
  readonly row: DeliveryRow;
  readonly attempts: readonly AttemptRow[];
  /** null: it was deleted. */
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
              Send once more
            </button>
          </form>
        ) : null}
      </Heading>
      <div class="columns even">
        <Card title="About" id="about">
          <Facts
            all={[
              ["To", webhook === null ? "a deleted webhook" : shownAddress(webhook.url)],
              ["Webhook", <code>{row.webhook_id}</code>],
              ["Message", <code>{row.message_id}</code>],
              ["Event", row.event_id === null ? "none: asked for by hand" : <code>{row.event_id}</code>],
              ["Run", row.run === 1 ? "1" : `${row.run}: it was sent once more`],
              ["Tries", grouped(row.attempts)],
              ["Written down", <Time at={row.created_at} now={now} />],
              ["Next try", <TimeOrNone at={row.next_attempt_at} now={now} />],
              ["Ended", <TimeOrNone at={row.ended_at} now={now} none="not yet" />],
              ["Why", row.reason === null ? "–" : DELIVERY_REASON_WORDS[row.reason]],
              ["Job", row.job_id === null ? "–" : <Actor name={row.job_id} />],
            ]}
          />
        </Card>
        <Card title="Body" id="body">
          <Json value={JSON.parse(row.payload)} />
        </Card>
      </div>
      <Card title="Tries" id="tries">
        <Tries attempts={attempts} now={now} />
      </Card>
    </>
  );
}

function Tries({ attempts, now }: { readonly attempts: readonly AttemptRow[]; readonly now: number }) {
  return (
    <Table
      label="Tries"
      rows={attempts}
      keyOf={({ run, attempt }) => `${run}-${attempt}`}
      none="Nothing was sent yet."
      columns={[
        { name: "Run", number: true, cell: ({ run }) => String(run) },
        { name: "Try", number: true, cell: ({ attempt }) => String(attempt) },
        { name: "When", cell: ({ at }) => <Time at={at} now={now} /> },
        { name: "Took", number: true, cell: ({ duration_ms: length }) => took(length) },
        { name: "Answer", number: true, cell: ({ status_code: code }) => (code === null ? <None>none</None> : String(code)) },
        { name: "Error", cell: ({ error }) => (error === null ? <None /> : <div class="wide">{error}</div>) },
        { name: "What it said", cell: ({ response }) => (response ? <span class="cut">{response}</span> : <None>nothing</None>) },
      ]}
    />
  );
}

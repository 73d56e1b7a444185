/** Who is told of a project's events, and what came of the latest messages. */
import type { ProjectView } from "../../store/projects/projects.ts";
import type { DeliveryRow } from "../../store/webhooks/deliveries.ts";
import type { WebhookRow } from "../../store/webhooks/webhooks.ts";
import { grouped } from "../format.ts";
import { DELIVERY_REASON_WORDS, STATUS_REASON_WORDS, shownAddress } from "../outcomes.ts";
import { Card, None, State, Table, Time, TimeOrNone } from "../parts.tsx";
import { More } from "../projects/history.tsx";
import type { Page } from "../projects/history.tsx";

interface ProjectWebhooksProps {
  readonly project: ProjectView;
  readonly webhooks: readonly WebhookRow[];
  readonly deliveries: Page<DeliveryRow>;
  readonly now: number;
}

export function ProjectWebhooks({ project, webhooks, deliveries, now }: ProjectWebhooksProps) {
  return (
    <>
      <Card title="Webhooks" id="webhooks">
        <Endpoints project={project} webhooks={webhooks} now={now} />
      </Card>
      {webhooks.length + deliveries.rows.length === 0 ? null : (
        <Card title="Messages to webhooks" id="deliveries" aside={<span class="muted">the latest first</span>}>
          <Deliveries project={project} webhooks={webhooks} rows={deliveries.rows} now={now} />
          <More id={project.id} list="deliveries" next={deliveries.next} />
        </Card>
      )}
    </>
  );
}

function Endpoints({ project, webhooks, now }: Omit<ProjectWebhooksProps, "deliveries">) {
  return (
    <Table
      label="Webhooks"
      rows={webhooks}
      keyOf={({ id }) => id}
      none={
        <>
          Nobody is told of its events. Make a webhook with <code>POST /api/projects/{project.id}/webhooks</code>.
        </>
      }
      columns={[
        {
          name: "Endpoint",
          cell: ({ id, url, description }) => (
            <div class="wide">
              {shownAddress(url)}
              {description === "" ? null : <span class="muted">, {description}</span>}
              <br />
              <code>{id}</code>
            </div>
          ),
        },
        {
          name: "Status",
          cell: ({ status, status_reason: why, status_at: at }) => (
            <div class={why === null ? "" : "wide"}>
              <State name={status} />
              {why === null ? null : (
                <span>
                  {" "}
                  {STATUS_REASON_WORDS[why]}, <Time at={at} now={now} />
                </span>
              )}
            </div>
          ),
        },
        { name: "Told of", cell: ({ event_types: types }) => <Types types={types} /> },
        { name: "Failures in a row", number: true, cell: ({ failures }) => grouped(failures) },
        { name: "Change", cell: (webhook) => <Changes project={project} webhook={webhook} /> },
      ]}
    />
  );
}

function Types({ types }: { readonly types: string | null }) {
  if (types === null) return <span class="whole">every event</span>;
  return (
    <ul>
      {(JSON.parse(types) as string[]).map((type) => (
        <li>
          <code>{type}</code>
        </li>
      ))}
    </ul>
  );
}

/** Each leads to a page that asks once more. */
function Changes({ project, webhook: { id, status, url } }: { readonly project: ProjectView; readonly webhook: WebhookRow }) {
  if (project.lifecycle !== "ACTIVE") return <None />;
  const path = `/projects/${project.id}/webhooks/${id}`;
  const offered = [
    ["test", "Test"],
    ...(status === "enabled" ? [] : [["enable", "Enable"]]),
    ...(status === "disabled" ? [] : [["disable", "Disable"]]),
  ];
  return (
    <ul class="inline">
      {offered.map(([action, name]) => (
        <li>
          <a href={`${path}/${action}`}>
            {name}
            <span class="hidden"> {shownAddress(url)}</span>
          </a>
        </li>
      ))}
    </ul>
  );
}

interface DeliveriesProps extends Omit<ProjectWebhooksProps, "deliveries"> {
  readonly rows: readonly DeliveryRow[];
}

function Deliveries({ project, webhooks, rows, now }: DeliveriesProps) {
  return (
    <Table
      label="Messages to webhooks"
      rows={rows}
      keyOf={({ id }) => id}
      none="Nothing was sent yet."
      columns={[
        {
          name: "Event",
          cell: ({ id, event_type }) => (
            <a href={`/projects/${project.id}/webhooks/deliveries/${id}`}>
              <code>{event_type}</code>
            </a>
          ),
        },
        {
          name: "Status",
          cell: ({ status, reason }) => (
            <>
              <State name={status} />
              {reason === null ? null : <span class="muted"> {DELIVERY_REASON_WORDS[reason]}</span>}
            </>
          ),
        },
        { name: "When", cell: ({ created_at: at }) => <Time at={at} now={now} /> },
        { name: "To", cell: ({ webhook_id: to }) => <To id={to} webhooks={webhooks} /> },
        { name: "Tries", number: true, cell: ({ attempts }) => grouped(attempts) },
        { name: "Next try", cell: ({ next_attempt_at: at }) => <TimeOrNone at={at} now={now} /> },
      ]}
    />
  );
}

function To({ id, webhooks }: { readonly id: string; readonly webhooks: readonly WebhookRow[] }) {
  const webhook = webhooks.find((each) => each.id === id);
  return webhook === undefined ? <None>a deleted webhook</None> : <>{shownAddress(webhook.url)}</>;
}

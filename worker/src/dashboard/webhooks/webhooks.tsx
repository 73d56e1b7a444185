/** Webhooks of a project and their latest deliveries. */
import type { ProjectView } from "../../store/projects/projects.ts";
import type { DeliveryRow } from "../../store/webhooks/deliveries.ts";
import type { WebhookRow } from "../../store/webhooks/webhooks.ts";
import { formatCount } from "../format.ts";
import { DELIVERY_REASON_WORDS, STATUS_REASON_WORDS, maskedUrl } from "../outcomes.ts";
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
        <Card title="Deliveries" id="deliveries" aside={<span class="muted">latest first</span>}>
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
          No webhooks yet. Create one with <code>POST /api/projects/{project.id}/webhooks</code>.
        </>
      }
      columns={[
        {
          name: "Endpoint",
          cell: ({ id, url, description }) => (
            <div class="wide">
              {maskedUrl(url)}
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
        { name: "Events", cell: ({ event_types: types }) => <Types types={types} /> },
        { name: "Failures", number: true, cell: ({ failures }) => formatCount(failures) },
        { name: "Actions", cell: (webhook) => <Changes project={project} webhook={webhook} /> },
      ]}
    />
  );
}

function Types({ types }: { readonly types: string | null }) {
  if (types === null) return <span class="whole">all events</span>;
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

/** Links to confirmation pages. */
function Changes({ project, webhook: { id, status, url } }: { readonly project: ProjectView; readonly webhook: WebhookRow }) {
  if (project.lifecycle !== "ACTIVE") return <None />;
  const path = `/projects/${project.id}/webhooks/${id}`;
  const actions = [
    ["test", "Test"],
    ...(status === "enabled" ? [] : [["enable", "Enable"]]),
    ...(status === "disabled" ? [] : [["disable", "Disable"]]),
  ];
  return (
    <ul class="inline">
      {actions.map(([action, name]) => (
        <li>
          <a href={`${path}/${action}`}>
            {name}
            <span class="hidden"> {maskedUrl(url)}</span>
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
      label="Deliveries"
      rows={rows}
      keyOf={({ id }) => id}
      none="No deliveries yet."
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
        { name: "Attempts", number: true, cell: ({ attempts }) => formatCount(attempts) },
        { name: "Next attempt", cell: ({ next_attempt_at: at }) => <TimeOrNone at={at} now={now} /> },
      ]}
    />
  );
}

function To({ id, webhooks }: { readonly id: string; readonly webhooks: readonly WebhookRow[] }) {
  const webhook = webhooks.find((each) => each.id === id);
  return webhook === undefined ? <None>a deleted webhook</None> : <>{maskedUrl(webhook.url)}</>;
}

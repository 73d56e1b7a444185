/** Page of one project: usage, suspensions, history, webhooks, backups and keys. */
import type { DetectionRow } from "../../store/abuse/abuse.ts";
import type { ApiKeyView } from "../../store/keys/api-keys.ts";
import type { BackupRow } from "../../store/backups/backups.ts";
import type { CapType } from "../../store/limits/meters.ts";
import type { ProjectView } from "../../store/projects/projects.ts";
import type { RestoreRow } from "../../store/backups/restores.ts";
import type { DeliveryRow } from "../../store/webhooks/deliveries.ts";
import type { WebhookRow } from "../../store/webhooks/webhooks.ts";
import type { getProjectUsage } from "../../tenants/limits/usage.ts";
import { DaysChart } from "../charts/days-chart.tsx";
import { Meter } from "../charts/meter.tsx";
import { capName, formatCount } from "../format.ts";
import { Card, Facts, Heading, EmptyState, State, Time } from "../parts.tsx";
import { Actions, Caps, Reasons } from "./projects.tsx";
import { ProjectAbuse } from "../abuse/abuse.tsx";
import { ProjectBackups } from "../backups/backups.tsx";
import { ProjectKeys } from "../keys/keys.tsx";
import { CreationStatus, RestoredFrom } from "../provisioning/provisioning.tsx";
import { ProjectHistory } from "./history.tsx";
import type { Page, ProjectHistoryProps } from "./history.tsx";
import { ProjectWebhooks } from "../webhooks/webhooks.tsx";

export const USAGE_DAYS = 30;

type Usage = Awaited<ReturnType<typeof getProjectUsage>>;

interface ProjectPageProps extends Omit<ProjectHistoryProps, "id"> {
  readonly project: ProjectView;
  readonly usage: Usage;
  readonly keys: readonly ApiKeyView[];
  readonly webhooks: readonly WebhookRow[];
  readonly deliveries: Page<DeliveryRow>;
  readonly backups: Page<BackupRow>;
  readonly decisions: Page<DetectionRow>;
  readonly restore: RestoreRow | null;
}

export function ProjectPage(props: ProjectPageProps) {
  const { project, usage, keys, suspensions, evaluations, events, webhooks, deliveries, backups, decisions, restore, now } = props;
  return (
    <>
      <Heading title={project.name} above={<a href="/projects">Projects</a>}>
        <State name={project.status} />
        <Actions project={project} />
      </Heading>
      <CreationStatus project={project} restore={restore} />
      <Reasons project={project} now={now} />
      <div class="columns even">
        <Card title="Caps" id="caps" aside={<span class="muted">today, UTC</span>}>
          <Caps caps={usage.caps} />
        </Card>
        <Card title="About" id="about">
          <About project={project} usage={usage} restore={restore} now={now} />
        </Card>
      </div>
      <Card title={`Last ${USAGE_DAYS} days`} id="usage">
        <UsageCharts usage={usage} now={now} />
      </Card>
      <ProjectHistory id={project.id} {...{ suspensions, evaluations, events, now }} />
      <ProjectAbuse id={project.id} decisions={decisions} now={now} />
      <ProjectWebhooks project={project} webhooks={webhooks} deliveries={deliveries} now={now} />
      <ProjectBackups project={project} backups={backups} now={now} />
      <ProjectKeys keys={keys} now={now} />
    </>
  );
}

function About({ project, usage, restore, now }: Pick<ProjectPageProps, "project" | "usage" | "restore" | "now">) {
  const { api_calls: month } = usage.organization;
  const { calls_per_day: share, share_mode: mode, used } = usage.upstream;
  return (
    <Facts
      all={[
        ["Id", <code>{project.id}</code>],
        ["Organization", <code>{project.organization_id}</code>],
        ["Owner", project.owner_id ?? "–"],
        ["Region", project.region ?? "–"],
        ["Created", <Time at={project.created_at} now={now} />],
        ...(restore === null ? [] : [["Restored from", <RestoredFrom restore={restore} />] as const]),
        [
          "Provider calls today",
          <>
            {used === null ? "unknown (ledger unreachable)" : formatCount(used)}{" "}
            <span class="muted">of {share === null ? (mode === "unlimited" ? "unlimited" : "unknown") : formatCount(share)}</span>
            {share === null || share === 0 || used === null ? null : (
              <Meter percent={(used * 100) / share} state={used >= share ? "exceeded" : "share"} />
            )}
          </>,
        ],
        [
          "Monthly allowance",
          <>
            {month.used === null ? "unknown" : formatCount(month.used)}{" "}
            <span class="muted">of {month.limit === null ? "unlimited" : formatCount(month.limit)} API calls</span>
            {month.percent === null ? null : <Meter percent={month.percent} state={month.percent >= 100 ? "exceeded" : "share"} />}
          </>,
        ],
        ["Month ends", month.reset_at === null ? "–" : <Time at={Date.parse(month.reset_at)} now={now} />],
      ]}
    />
  );
}

function UsageCharts({ usage, now }: { readonly usage: Usage; readonly now: number }) {
  const counters = usage.caps.filter(({ kind }) => kind === "counter");
  if (usage.days.length === 0) return <EmptyState>No usage in the last {USAGE_DAYS} days.</EmptyState>;
  const barsOf = (type: CapType) =>
    usage.days.filter(({ meter }) => meter === type).map(({ day, used, adjusted }) => ({ date: day, used, adjusted }));
  return (
    <div class="multiples">
      {counters.map(({ cap_type, cap }) => (
        <div>
          <h3>{capName(cap_type)}</h3>
          <DaysChart
            name={capName(cap_type)}
            bars={barsOf(cap_type)}
            days={USAGE_DAYS}
            limit={cap}
            limitName="cap"
            now={now}
            narrow
            columns={[{ name: "Reported later", number: true, cell: ({ adjusted }) => formatCount(adjusted) }]}
          />
        </div>
      ))}
    </div>
  );
}

/** Webhooks for operators: one message in full, sent once more, and endpoints tested, switched off and on. */
import type { Child } from "hono/jsx";
import { createRouter } from "../../http/index.ts";
import type { AppContext } from "../../http/index.ts";
import { findWebhook } from "../../store/webhooks/webhooks.ts";
import { BY_ADMIN } from "../../tenants/changing.ts";
import { changeableProject } from "../../tenants/projects/projects.ts";
import { deliveryWithAttempts, replayDelivery } from "../../tenants/webhooks/replay.ts";
import { getWebhook, patchWebhook, testWebhook } from "../../tenants/webhooks/webhooks.ts";
import { confirmed } from "../confirm.tsx";
import { REFRESH_SECONDS, pathParameter, signedIn } from "../guard.ts";
import { shownAddress } from "../outcomes.ts";
import { sendPage } from "../page.tsx";
import { DeliveryPage } from "./delivery.tsx";
import { sessionForm } from "../session.ts";

export const webhookPages = createRouter();

const projectReader = (c: AppContext) => async () => changeableProject(c.get("deps"), pathParameter(c, "id"));
const deliveryPath = (projectId: string, id: string): string => `/projects/${projectId}/webhooks/deliveries/${id}`;

webhookPages.get(
  "/projects/:id/webhooks/deliveries/:delivery_id",
  signedIn(async (c, session) => {
    const deps = c.get("deps");
    const { row, attempts } = await deliveryWithAttempts(deps, pathParameter(c, "id"), pathParameter(c, "delivery_id"));
    const webhook = await findWebhook(deps.db, row.project_id, row.webhook_id);
    const content = <DeliveryPage row={row} attempts={attempts} webhook={webhook} session={session} now={deps.clock()} />;
    return sendPage(c, { title: row.event_type, session, place: "/projects", refresh: REFRESH_SECONDS }, content);
  }),
);

webhookPages.post(
  "/projects/:id/webhooks/deliveries/:delivery_id/again",
  signedIn(async (c, session) => {
    await sessionForm(c, session);
    const row = await replayDelivery(c.get("deps"), projectReader(c), pathParameter(c, "delivery_id"), BY_ADMIN);
    return c.redirect(deliveryPath(row.project_id, row.id), 303);
  }),
);

interface Action {
  readonly title: (address: string) => string;
  readonly button: string;
  readonly danger: boolean;
  readonly says: Child;
  /** Returns where to go on. */
  readonly act: (c: AppContext, projectId: string, webhookId: string) => Promise<string>;
}

const TEST_TAKES = "It is waited for, at most 15 seconds.";

async function switched(c: AppContext, projectId: string, webhookId: string, enabled: boolean): Promise<string> {
  await patchWebhook(c.get("deps"), projectReader(c), webhookId, { enabled }, new URL(c.req.url).host, BY_ADMIN);
  return `/projects/${projectId}#webhooks`;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  test: {
    title: (address) => `Send a test to ${address}?`,
    button: "Send a test",
    danger: false,
    says: `One signed message of the type webhook.test, and what comes back. ${TEST_TAKES}`,
    act: async (c, projectId, webhookId) => {
      const { id } = await testWebhook(c.get("deps"), projectReader(c), webhookId, BY_ADMIN);
      return deliveryPath(projectId, id);
    },
  },
  enable: {
    title: (address) => `Enable ${address}?`,
    button: "Test and enable",
    danger: false,
    says: `A signed test is sent first: only where it is answered with 2xx the webhook is enabled. ${TEST_TAKES}`,
    act: async (c, projectId, webhookId) => switched(c, projectId, webhookId, true),
  },
  disable: {
    title: (address) => `Disable ${address}?`,
    button: "Disable",
    danger: true,
    says: "It is told nothing more. What happens meanwhile is written down, and can be sent once it is enabled again.",
    act: async (c, projectId, webhookId) => switched(c, projectId, webhookId, false),
  },
};

for (const [name, { title, button, danger, says, act }] of Object.entries(ACTIONS)) {
  confirmed(webhookPages, {
    path: `/projects/:id/webhooks/:webhook_id/${name}`,
    place: "/projects",
    ask: async (c) => {
      const { id, project_id, url, description } = await getWebhook(c.get("deps"), pathParameter(c, "id"), pathParameter(c, "webhook_id"));
      const text = (
        <>
          <p>{says}</p>
          <p>
            <code>{id}</code>
            {description === "" ? "" : `, ${description}`}
          </p>
        </>
      );
      return { name: button, title: title(shownAddress(url)), button, danger, back: `/projects/${project_id}#webhooks`, text };
    },
    act: async (c) => act(c, pathParameter(c, "id"), pathParameter(c, "webhook_id")),
  });
}

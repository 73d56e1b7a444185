/** Pages that show and resend deliveries, and test, enable and disable webhooks. */
import type { Child } from "hono/jsx";
import { createRouter } from "../../http/index.ts";
import type { AppContext } from "../../http/index.ts";
import { findWebhook } from "../../store/webhooks/webhooks.ts";
import { BY_ADMIN } from "../../tenants/changing.ts";
import { changeableProject } from "../../tenants/projects/projects.ts";
import { deliveryWithAttempts, replayDelivery } from "../../tenants/webhooks/replay.ts";
import { getWebhook, patchWebhook, testWebhook } from "../../tenants/webhooks/webhooks.ts";
import { addConfirmation } from "../confirm.tsx";
import { REFRESH_SECONDS, pathParameter, signedIn } from "../guard.ts";
import { maskedUrl } from "../outcomes.ts";
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
  readonly text: Child;
  /** Returns the path to redirect to. */
  readonly act: (c: AppContext, projectId: string, webhookId: string) => Promise<string>;
}

const TEST_WAIT = "The page waits up to 15 seconds for the result.";

async function setEnabled(c: AppContext, projectId: string, webhookId: string, enabled: boolean): Promise<string> {
  await patchWebhook(c.get("deps"), projectReader(c), webhookId, { enabled }, new URL(c.req.url).host, BY_ADMIN);
  return `/projects/${projectId}#webhooks`;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  test: {
    title: (address) => `Send a test to ${address}?`,
    button: "Send a test",
    danger: false,
    text: `Sends a signed webhook.test event and shows the response. ${TEST_WAIT}`,
    act: async (c, projectId, webhookId) => {
      const { id } = await testWebhook(c.get("deps"), projectReader(c), webhookId, BY_ADMIN);
      return deliveryPath(projectId, id);
    },
  },
  enable: {
    title: (address) => `Enable ${address}?`,
    button: "Test and enable",
    danger: false,
    text: `Sends a signed test first. The webhook is enabled if it returns 2xx. ${TEST_WAIT}`,
    act: async (c, projectId, webhookId) => setEnabled(c, projectId, webhookId, true),
  },
  disable: {
    title: (address) => `Disable ${address}?`,
    button: "Disable",
    danger: true,
    text: "No more events will be delivered. They are kept and can be resent after you enable it again.",
    act: async (c, projectId, webhookId) => setEnabled(c, projectId, webhookId, false),
  },
};

for (const [name, { title, button, danger, text: explanation, act }] of Object.entries(ACTIONS)) {
  addConfirmation(webhookPages, {
    path: `/projects/:id/webhooks/:webhook_id/${name}`,
    place: "/projects",
    dialog: async (c) => {
      const { id, project_id, url, description } = await getWebhook(c.get("deps"), pathParameter(c, "id"), pathParameter(c, "webhook_id"));
      const text = (
        <>
          <p>{explanation}</p>
          <p>
            <code>{id}</code>
            {description === "" ? "" : `, ${description}`}
          </p>
        </>
      );
      return { name: button, title: title(maskedUrl(url)), button, danger, back: `/projects/${project_id}#webhooks`, text };
    },
    act: async (c) => act(c, pathParameter(c, "id"), pathParameter(c, "webhook_id")),
  });
}

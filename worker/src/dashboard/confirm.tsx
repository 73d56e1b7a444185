/** Confirmation page before a change. It needs no script. */
import type { Child } from "hono/jsx";
import { Problem } from "../errors.ts";
import type { ProblemCode } from "../errors.ts";
import type { AppContext, createRouter } from "../http/index.ts";
import { signedIn } from "./guard.ts";
import { FormToken, sendPage } from "./page.tsx";
import type { Place } from "./page.tsx";
import { Failure } from "./parts.tsx";
import { sessionForm } from "./session.ts";
import type { Session } from "./session.ts";

type Form = Readonly<Record<string, string>>;

interface Dialog {
  /** Title of the page. */
  readonly name: string;
  readonly title: string;
  readonly button: string;
  readonly danger?: boolean;
  /** Address of the page to return to without the change. */
  readonly back: string;
  readonly text: Child;
  readonly fields?: Child;
}

interface Confirmation {
  readonly path: string;
  readonly place: Place;
  /** `form` holds the submitted values. They are shown again after a failure. */
  readonly dialog: (c: AppContext, form: Form, isInvalid: boolean) => Promise<Dialog>;
  /** Makes the change. Returns the path to redirect to. */
  readonly act: (c: AppContext, form: Form) => Promise<string>;
}

/** Problems that the reader can fix. The form shows them. */
const SHOWN_ON_FORM: ReadonlySet<ProblemCode> = new Set<ProblemCode>(["conflict", "invalid_request", "pace_exceeded", "unprocessable"]);

/** Adds a confirmation page and the handler of its form. */
export function addConfirmation(router: ReturnType<typeof createRouter>, { path, place, dialog, act }: Confirmation): void {
  const show = async (c: AppContext, session: Session, form: Form, failure: string | null): Promise<Response> => {
    const texts = await dialog(c, form, failure !== null);
    const content = <ConfirmPage dialog={texts} action={c.req.path} session={session} failure={failure} />;
    return sendPage(c, { title: texts.name, session, place, status: failure === null ? 200 : 400 }, content);
  };
  router.get(
    path,
    signedIn(async (c, session) => show(c, session, {}, null)),
  );
  router.post(
    path,
    signedIn(async (c, session) => {
      const form = await sessionForm(c, session);
      try {
        return c.redirect(await act(c, form), 303);
      } catch (error) {
        if (error instanceof Problem && SHOWN_ON_FORM.has(error.code)) return show(c, session, form, error.detail);
        throw error;
      }
    }),
  );
}

interface ConfirmProps {
  readonly dialog: Dialog;
  readonly action: string;
  readonly session: Session;
  /** Why the change failed. */
  readonly failure: string | null;
}

function ConfirmPage({ dialog: { title, button, danger = false, back, text, fields }, action, session, failure }: ConfirmProps) {
  return (
    <section class="card narrow" aria-labelledby="confirm">
      <h1 id="confirm">{title}</h1>
      {text}
      {failure === null ? null : <Failure>{failure}</Failure>}
      <form method="post" action={action} class="stack">
        <FormToken session={session} />
        {fields ?? null}
        <p class="actions">
          <button class={danger ? "button danger" : "button primary"} type="submit">
            {button}
          </button>
          <a class="button quiet" href={back}>
            Back
          </a>
        </p>
      </form>
    </section>
  );
}

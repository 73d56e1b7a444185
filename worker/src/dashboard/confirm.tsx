/** One more look before something is changed: a page of its own, which needs no script. */
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

interface Question {
  /** The page's. */
  readonly name: string;
  readonly title: string;
  readonly button: string;
  readonly danger?: boolean;
  /** Where it leads not to do it. */
  readonly back: string;
  readonly text: Child;
  readonly fields?: Child;
}

interface Confirmation {
  readonly path: string;
  readonly place: Place;
  /** `form`: what was written, which stays where it was not done. */
  readonly ask: (c: AppContext, form: Form, isWrong: boolean) => Promise<Question>;
  /** Does it. Returns where to go on. */
  readonly act: (c: AppContext, form: Form) => Promise<string>;
}

/** Refusals that the reader can do something about: they are shown on the form. */
const SHOWN_AGAIN: ReadonlySet<ProblemCode> = new Set<ProblemCode>(["conflict", "invalid_request", "pace_exceeded", "unprocessable"]);

/** A page that asks, and the form on it that does what was asked. */
export function confirmed(router: ReturnType<typeof createRouter>, { path, place, ask, act }: Confirmation): void {
  const show = async (c: AppContext, session: Session, form: Form, failure: string | null): Promise<Response> => {
    const question = await ask(c, form, failure !== null);
    const content = <ConfirmPage question={question} action={c.req.path} session={session} failure={failure} />;
    return sendPage(c, { title: question.name, session, place, status: failure === null ? 200 : 400 }, content);
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
        if (error instanceof Problem && SHOWN_AGAIN.has(error.code)) return show(c, session, form, error.detail);
        throw error;
      }
    }),
  );
}

interface ConfirmProps {
  readonly question: Question;
  readonly action: string;
  readonly session: Session;
  /** Why it was not done. */
  readonly failure: string | null;
}

function ConfirmPage({ question: { title, button, danger = false, back, text, fields }, action, session, failure }: ConfirmProps) {
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

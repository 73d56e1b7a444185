/** One more look before something is changed: a page of its own, which needs no script. */
import type { Child, PropsWithChildren } from "hono/jsx";
import { FormToken } from "./page.tsx";
import { Mark } from "./parts.tsx";
import type { Session } from "./session.ts";

interface ConfirmProps {
  readonly session: Session;
  readonly title: string;
  readonly action: string;
  readonly button: string;
  readonly danger?: boolean;
  /** Where it leads not to do it. */
  readonly back: string;
  /** Why it was not done; what was written stays. */
  readonly failure?: string | null;
  readonly fields?: Child;
}

export function ConfirmPage(props: PropsWithChildren<ConfirmProps>) {
  const { session, title, action, button, danger = false, back, failure = null, fields = null, children } = props;
  return (
    <section class="card narrow" aria-labelledby="confirm">
      <h1 id="confirm">{title}</h1>
      {children}
      {failure === null ? null : (
        <p class="notice bad" role="alert" id="failure">
          <Mark level="bad" />
          <span>{failure}</span>
        </p>
      )}
      <form method="post" action={action} class="stack">
        <FormToken session={session} />
        {fields}
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

interface ReasonFieldProps {
  readonly value: string;
  readonly help: string;
  readonly wrong: boolean;
}

export function ReasonField({ value, help, wrong }: ReasonFieldProps) {
  return (
    <>
      <label for="reason">Reason</label>
      <input
        id="reason"
        name="reason"
        value={value}
        required
        maxlength={500}
        autocomplete="off"
        autofocus
        aria-describedby={wrong ? "failure reason-help" : "reason-help"}
        {...(wrong ? { "aria-invalid": "true" as const } : {})}
      />
      <p class="muted" id="reason-help">
        {help}
      </p>
    </>
  );
}

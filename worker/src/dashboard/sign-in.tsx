/** Where the administrator's token is given. */
import { Failure } from "./parts.tsx";

interface SignInProps {
  readonly next: string;
  /** Why it did not work. */
  readonly failure: string | null;
  /** false: the browser would not keep the cookie, and the token would travel in the open. */
  readonly possible: boolean;
}

export function SignInPage({ next, failure, possible }: SignInProps) {
  return (
    <section class="card narrow" aria-labelledby="sign-in">
      <h1 id="sign-in">Sign in</h1>
      <p>Projects, jobs, the harvest and the audit log are for operators. What the day's quota looks like is public.</p>
      {failure === null ? null : <Failure>{failure}</Failure>}
      {possible ? (
        <form method="post" action="/sign-in" class="stack">
          <input type="hidden" name="next" value={next} />
          <label for="token">Admin token</label>
          <input
            id="token"
            name="token"
            type="password"
            autocomplete="current-password"
            required
            autofocus
            aria-describedby={failure === null ? "token-help" : "failure token-help"}
          />
          <p class="muted" id="token-help">
            ADMIN_TOKEN; <code>npm start</code> prints the local one. You stay signed in for 12 hours.
          </p>
          <button class="button primary" type="submit">
            Sign in
          </button>
        </form>
      ) : (
        <Failure>This connection is not encrypted, so no token may be sent over it. Open this page with https.</Failure>
      )}
    </section>
  );
}

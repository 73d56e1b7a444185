/** Sign-in page for the admin token. */
import { Failure } from "./parts.tsx";

interface SignInProps {
  readonly next: string;
  /** Why the sign-in failed. */
  readonly failure: string | null;
  /** false: the browser would drop the cookie, and the token would travel unencrypted. */
  readonly isPrivate: boolean;
}

export function SignInPage({ next, failure, isPrivate }: SignInProps) {
  return (
    <section class="card narrow" aria-labelledby="sign-in">
      <h1 id="sign-in">Sign in</h1>
      <p>Projects, jobs, the harvest and the audit log require the admin token. Today's quota is public.</p>
      {failure === null ? null : <Failure>{failure}</Failure>}
      {isPrivate ? (
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
            Use the value of ADMIN_TOKEN. <code>npm start</code> prints the local one. You stay signed in for 12 hours.
          </p>
          <button class="button primary" type="submit">
            Sign in
          </button>
        </form>
      ) : (
        <Failure>This connection is not encrypted. To sign in, open this page with https.</Failure>
      )}
    </section>
  );
}

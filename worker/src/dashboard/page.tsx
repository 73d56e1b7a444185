/** Frame and response headers of every page. */
import { html } from "hono/html";
import type { Child } from "hono/jsx";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { AppContext } from "../http/index.ts";
import type { Session } from "./session.ts";

const ASSETS = "/dashboard-assets";

/** Allows resources of our own origin only, and no inline script or style. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Our script sends this header to receive only the part of the page that may have changed. */
const FRAGMENT_HEADER = "x-fragment";

const PLACES = [
  { path: "/", name: "Quota" },
  { path: "/projects", name: "Projects" },
  { path: "/jobs", name: "Jobs" },
  { path: "/harvest", name: "Harvest" },
  { path: "/signals", name: "Signals" },
  { path: "/audit", name: "Audit" },
] as const;

export type Place = (typeof PLACES)[number]["path"];

export interface PageOptions {
  readonly title: string;
  /** null: not signed in. */
  readonly session: Session | null;
  /** Current entry of the navigation. */
  readonly place?: Place;
  /** Seconds between refreshes. Without it the page does not refresh. */
  readonly refresh?: number;
  readonly status?: ContentfulStatusCode;
}

export async function sendPage(c: AppContext, options: PageOptions, content: Child): Promise<Response> {
  c.header("Content-Security-Policy", POLICY);
  c.header("Cache-Control", "no-store");
  c.header("Vary", FRAGMENT_HEADER);
  const title = `${options.title} · Quota Coordinator`;
  const main = (
    <main id="main" tabindex={-1} data-title={title} {...(options.refresh === undefined ? {} : { "data-refresh": options.refresh })}>
      {content}
    </main>
  );
  if (c.req.header(FRAGMENT_HEADER) === "main") return c.html(html`${main}`, options.status ?? 200);
  return c.html(html`<!doctype html>${<Frame {...options} title={title} path={pathOf(c)} main={main} />}`, options.status ?? 200);
}

/** Path and query of this page, for the redirect after the sign-in. */
export function pathOf(c: AppContext): string {
  const { pathname, search } = new URL(c.req.url);
  return `${pathname}${search}`;
}

interface FrameProps extends PageOptions {
  readonly path: string;
  readonly main: Child;
}

function Frame({ title, session, place, path, main }: FrameProps) {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>{title}</title>
        <link rel="icon" href={`${ASSETS}/icon.svg`} type="image/svg+xml" />
        <link rel="stylesheet" href={`${ASSETS}/dashboard.css`} />
        <script src={`${ASSETS}/dashboard.js`} defer></script>
      </head>
      <body>
        <a class="skip" href="#main">
          Skip to content
        </a>
        <header class="top">
          <div class="inner">
            <a class="brand" href="/">
              <svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
                <path class="brand-track" d="M4 17a9 9 0 1 1 16 0" />
                <path class="brand-used" d="M4 17a9 9 0 0 1 11.5-12.3" />
              </svg>
              <span>Quota Coordinator</span>
            </a>
            <nav aria-label="Pages">
              <ul>
                {PLACES.map((each) => (
                  <li>
                    <a href={each.path} {...(each.path === place ? { "aria-current": "page" as const } : {})}>
                      {each.name}
                    </a>
                  </li>
                ))}
              </ul>
            </nav>
            <div class="who">{session === null ? <SignInLink path={path} /> : <SignOut session={session} />}</div>
          </div>
        </header>
        {main}
        <footer class="bottom">
          <div class="inner">
            <p id="connection" role="status"></p>
            <p>
              All times are UTC · <a href="/docs">API</a> · <a href="/api/quota/status">Status as JSON</a>
            </p>
          </div>
        </footer>
      </body>
    </html>
  );
}

function SignInLink({ path }: { readonly path: string }) {
  const next = path === "/" || path.startsWith("/sign-in") ? "" : `?next=${encodeURIComponent(path)}`;
  return (
    <a class="button quiet" href={`/sign-in${next}`}>
      Sign in
    </a>
  );
}

function SignOut({ session }: { readonly session: Session }) {
  return (
    <form method="post" action="/sign-out">
      <FormToken session={session} />
      <button class="button quiet" type="submit">
        Sign out
      </button>
    </form>
  );
}

/** Hidden field of every form. It protects against cross-site requests. */
export function FormToken({ session }: { readonly session: Session }) {
  return <input type="hidden" name="form_token" value={session.formToken} />;
}

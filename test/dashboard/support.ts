/** A browser without scripts. It keeps cookies, follows redirects and sends the forms of a page. */
import { exports } from "cloudflare:workers";
import { ADMIN_TOKEN } from "../support/worker.ts";

export interface Page {
  readonly status: number;
  readonly headers: Headers;
  readonly html: string;
  /** Path after redirects. */
  readonly path: string;
  /** Visible text, with spaces for tags. */
  readonly text: string;
}

interface Sent {
  readonly method?: string;
  readonly form?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
}

const ENTITIES: Readonly<Record<string, string>> = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'" };
const unescaped = (html: string): string => html.replaceAll(/&(?:amp|lt|gt|quot|#39);/gu, (entity) => ENTITIES[entity] ?? entity);

const textOf = (html: string): string =>
  unescaped(html.replaceAll(/<title>[\s\S]*?<\/title>/gu, " ").replaceAll(/<[^>]*>/gu, " "))
    .replaceAll(/\s+/gu, " ")
    .trim();

export class Browser {
  readonly origin: string;
  cookie = "";

  constructor(origin = "https://coordinator.test") {
    this.origin = origin;
  }

  /** One request, without following redirects. */
  async send(path: string, { method = "GET", form, headers = {} }: Sent = {}): Promise<Page> {
    const request = new Request(`${this.origin}${path}`, {
      method: form ? "POST" : method,
      redirect: "manual",
      headers: {
        accept: "text/html",
        ...(this.cookie === "" ? {} : { cookie: this.cookie }),
        ...(form ? { origin: this.origin, "content-type": "application/x-www-form-urlencoded" } : {}),
        ...headers,
      },
      ...(form ? { body: new URLSearchParams(form).toString() } : {}),
    });
    const response = await exports.default.fetch(request);
    const html = await response.text();
    const set = response.headers.get("set-cookie");
    if (set !== null) this.cookie = /Max-Age=0/iu.test(set) ? "" : (set.split(";")[0] ?? "");
    return { status: response.status, headers: response.headers, html, path, text: textOf(html) };
  }

  /** A page, following redirects. */
  async open(path: string, sent: Sent = {}): Promise<Page> {
    const page = await this.send(path, sent);
    const location = page.headers.get("location");
    return page.status === 303 && location !== null ? this.open(location) : page;
  }

  /** Fills in and sends the form of a page with this action. */
  async submit(page: Page, action: string, filled: Readonly<Record<string, string>> = {}): Promise<Page> {
    const form = new RegExp(`<form method="post" action="${action}"[\\s\\S]*?</form>`, "u").exec(page.html)?.[0];
    if (form === undefined) throw new Error(`no form to ${action} on ${page.path}`);
    const hidden = [...form.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/gu)].map(([, name = "", value = ""]) => [
      name,
      unescaped(value),
    ]);
    return this.open(action, { form: { ...Object.fromEntries(hidden), ...filled } });
  }
}

export async function signedIn(): Promise<Browser> {
  const browser = new Browser();
  const page = await browser.submit(await browser.open("/sign-in"), "/sign-in", { token: ADMIN_TOKEN });
  if (page.status !== 200 || browser.cookie === "") throw new Error(`not signed in: ${page.status} ${page.text}`);
  return browser;
}

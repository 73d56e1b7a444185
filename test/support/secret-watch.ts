/**
 * Searches everything that the Worker under test logs, answers, exports and sends to webhooks for secrets. Loading this module starts the
 * watch. Test files share one instance of it, so the watch is set up once for all of them; `no-secrets.ts` checks it after each test.
 */
import { env } from "cloudflare:workers";

type Where = "log" | "answer" | "trace" | "webhook";

const ARTICLES: Record<Where, string> = { log: "a log line", answer: "an answer", trace: "a trace", webhook: "a webhook's message" };

const SECRETS: Record<string, string> = {
  ADMIN_TOKEN: env.ADMIN_TOKEN,
  ISBNDB_API_KEY: env.ISBNDB_API_KEY,
  KEY_PEPPER: env.KEY_PEPPER,
  SESSION_SECRET: env.SESSION_SECRET,
  METRICS_TOKEN: env.METRICS_TOKEN,
  ALERTMANAGER_TOKEN: env.ALERTMANAGER_TOKEN,
  GRAFANA_SECRET: env.GRAFANA_SECRET,
  DATADOG_TOKEN: env.DATADOG_TOKEN,
};

/** A whole API key, and what a webhook's messages are signed with. */
const MADE = /qc_(?:live|test)_[0-9A-Za-z]{10}_[0-9A-Za-z]{38}|whsec_[\w+/=-]{20,}/gu;

/** Each stands in one answer: in that which made it. */
const shown = new Set<string>();
const found: string[] = [];

export function look(where: Where, text: string): void {
  for (const [name, secret] of Object.entries(SECRETS))
    if (text.includes(secret)) found.push(`${name} in ${ARTICLES[where]}: ${cut(text, secret)}`);
  for (const [secret] of text.matchAll(MADE)) {
    if (where === "answer" && !shown.has(secret)) shown.add(secret);
    else found.push(`${secret.slice(0, 8)}… in ${ARTICLES[where]}: ${cut(text, secret)}`);
  }
}

/** Where it stands, without it. */
function cut(text: string, secret: string): string {
  const at = text.indexOf(secret);
  return `${text.slice(Math.max(0, at - 200), at)}<secret>${text.slice(at + secret.length, at + secret.length + 100)}`.replaceAll(
    MADE,
    "<secret>",
  );
}

/** Answers of the simulated provider's control: they are the test's own. */
export const notOurs = new WeakSet<Response>();

const headersOf = ({ headers }: Response): string => Array.from(headers, (pair) => pair.join(": ")).join("\n");

function textOf(body: unknown): string {
  if (body instanceof ArrayBuffer || body instanceof Uint8Array) return new TextDecoder().decode(body);
  return typeof body === "string" ? body : JSON.stringify(body);
}

/** However a test reads an answer. */
for (const name of ["text", "json", "arrayBuffer", "bytes"]) {
  const read = Reflect.get(Response.prototype, name) as () => Promise<unknown>;
  const watched = new Proxy(read, {
    async apply(target, self: Response) {
      const body = await Reflect.apply(target, self, []);
      if (!notOurs.has(self)) look("answer", `${headersOf(self)}\n${textOf(body)}`);
      return body;
    },
  });
  Object.defineProperty(Response.prototype, name, { value: watched, configurable: true, writable: true });
}

/** Also what a test keeps from being printed: its own stand-ins for these are called from here. */
const LEVELS: ReadonlySet<string | symbol> = new Set(["debug", "error", "info", "log", "warn"]);
const watched = new Proxy(console, {
  get(target, name) {
    const member: unknown = Reflect.get(target, name);
    if (!LEVELS.has(name) || typeof member !== "function") return member;
    return new Proxy(member, {
      apply(write, self, values: unknown[]) {
        look("log", values.map(String).join(" "));
        return Reflect.apply(write as (...values: unknown[]) => unknown, self, values);
      },
    });
  },
});
Object.defineProperty(globalThis, "console", { value: watched, configurable: true, writable: true });

/** For a test that undoes what was made: the secrets of webhooks follow from their ids, and are made again. */
export const forgetWhatWasShown = (): void => shown.clear();

/** For a test in which callers send secrets where none belong: whoever sends one is told it again, and nobody else. */
export function answersRepeatWhatWasSent(): void {
  found.splice(0, found.length, ...found.filter((leak) => !leak.includes(`in ${ARTICLES.answer}: `)));
}

/** Leaks since the last check. */
export const takeLeaks = (): string[] => found.splice(0);

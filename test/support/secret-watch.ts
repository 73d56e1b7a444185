/**
 * Searches everything that the Worker under test logs, answers, exports and sends to webhooks for secrets. Loading this module starts the
 * watch. Test files share one instance of it, so the watch is set up once for all of them. `no-secrets.ts` checks it after each test.
 */
import { env } from "cloudflare:workers";
import { vi } from "vitest";

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

/** A complete API key, and the signing secret of a webhook. */
const MADE = /qc_(?:live|test)_[0-9A-Za-z]{10}_[0-9A-Za-z]{38}|whsec_[\w+/=-]{20,}/gu;

/** One search for all secrets. Only a text with a match is searched for each. The test secrets contain letters, digits and hyphens only. */
const ANY = new RegExp([MADE.source, ...Object.values(SECRETS)].join("|"), "u");

/** Each is allowed in one response: the one that created it. */
const returned = new Set<string>();
const found: string[] = [];

export function look(where: Where, text: string): void {
  if (!ANY.test(text)) return;
  for (const [name, secret] of Object.entries(SECRETS))
    if (text.includes(secret)) found.push(`${name} in ${ARTICLES[where]}: ${cut(text, secret)}`);
  for (const [secret] of text.matchAll(MADE)) {
    if (where === "answer" && !returned.has(secret)) returned.add(secret);
    else found.push(`${secret.slice(0, 8)}… in ${ARTICLES[where]}: ${cut(text, secret)}`);
  }
}

/** The text around a secret, without the secret. */
function cut(text: string, secret: string): string {
  const at = text.indexOf(secret);
  return `${text.slice(Math.max(0, at - 200), at)}<secret>${text.slice(at + secret.length, at + secret.length + 100)}`.replaceAll(
    MADE,
    "<secret>",
  );
}

/** Responses of the simulated provider's control belong to the test. */
export const notOurs = new WeakSet<Response>();

const headersOf = ({ headers }: Response): string => Array.from(headers, (pair) => pair.join(": ")).join("\n");

function textOf(body: unknown): string {
  if (body instanceof ArrayBuffer || body instanceof Uint8Array) return new TextDecoder().decode(body);
  return typeof body === "string" ? body : JSON.stringify(body);
}

/** All ways in which a test reads a response. */
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

interface Line {
  readonly write: (...values: unknown[]) => unknown;
  readonly self: unknown;
  readonly values: unknown[];
}

/** Lines of the current test. Sending all lines to the runner took a tenth of the time. Null: lines are written immediately. */
let held: Line[] | null = null;

/** From now on, lines are held. */
export function holdLog(): void {
  held ??= [];
}

/** Writes the lines since the last call, or drops them. */
export function endLog({ show }: { readonly show: boolean }): void {
  const lines = held?.splice(0) ?? [];
  if (show) for (const { write, self, values } of lines) Reflect.apply(write, self, values);
}

/** Also output that a test suppresses: the test's own mocks are called from here. */
const LEVELS: ReadonlySet<string | symbol> = new Set(["debug", "error", "info", "log", "warn"]);
const watched = new Proxy(console, {
  get(target, name) {
    const member: unknown = Reflect.get(target, name);
    if (!LEVELS.has(name) || typeof member !== "function") return member;
    return new Proxy(member, {
      apply(write, self, values: unknown[]) {
        look("log", values.map(String).join(" "));
        const line = { write: write as Line["write"], self, values };
        if (held === null || vi.isMockFunction(Reflect.getOwnPropertyDescriptor(target, name)?.value))
          return Reflect.apply(line.write, self, values);
        held.push(line);
        return undefined;
      },
    });
  },
});
Object.defineProperty(globalThis, "console", { value: watched, configurable: true, writable: true });

/** Call it in a test that rolls back a creation. Webhook secrets are derived from their ids, so the same ones appear again. */
export const forgetReturnedSecrets = (): void => returned.clear();

/** Call it in a test that sends secrets by mistake. Removes the leaks in answers, because an answer to the sender may repeat a secret. */
export function answersRepeatWhatWasSent(): void {
  found.splice(0, found.length, ...found.filter((leak) => !leak.includes(`in ${ARTICLES.answer}: `)));
}

/** Leaks since the last check. */
export const takeLeaks = (): string[] => found.splice(0);

/** The stage of a storm: the built Worker and the simulated provider, each in its own workerd, the clients' records, and randomness. */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wakeJobs } from "../../../../scripts/start/wake-jobs.ts";
import { ROOT, freePorts } from "../process.ts";
import { Journal } from "./journal.ts";
import { LocalWorkerd } from "./local-workerd.ts";
import type { Logged } from "./local-workerd.ts";
import { Random } from "./random.ts";
import { ADMIN_TOKEN, CONTROL, productWorkers, simulatorWorker } from "./workers.ts";

/** The ledger is named after its provider. */
const LEDGER = "isbndb";

type Value = string | number | null;
const ANSWER_WITHIN_MS = 60_000;
const LOOK_MS = 25;

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly text: string;
  /** Epoch milliseconds. */
  readonly askedAt: number;
  readonly answeredAt: number;
}

export interface Question {
  readonly method?: string;
  readonly path: string;
  readonly body?: unknown;
  /** Token of the request. Default: the admin token. */
  readonly token?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
}

export class Storm {
  readonly journal: Journal;
  readonly random: Random;
  readonly folder: string;
  /** Aborted when the clients must end. */
  readonly ending = new AbortController();
  readonly product: LocalWorkerd;
  readonly simulator: LocalWorkerd;

  private constructor(random: Random, folder: string, product: LocalWorkerd, simulator: LocalWorkerd, journal: Journal) {
    [this.random, this.folder, this.product, this.simulator, this.journal] = [random, folder, product, simulator, journal];
  }

  static async open(seed: string): Promise<Storm> {
    const folder = mkdtempSync(join(tmpdir(), "storm-"));
    const journal = new Journal();
    const port = await freePorts();
    const place = (name: string, at: number) => ({ state: join(folder, name), port: at, onLog: note(journal, name) });
    const simulator = new LocalWorkerd({ ...place("simulator", port + 1), workers: [await simulatorWorker()] });
    const workers = await productWorkers(folder, { ISBNDB_BASE_URL: simulator.url });
    const product = new LocalWorkerd({ ...place("product", port), workers });
    // One after the other, so that each knows its own process.
    await simulator.start();
    await product.start();
    const storm = new Storm(new Random(seed), folder, product, simulator, journal);
    await storm.#migrate();
    return storm;
  }

  get over(): boolean {
    return this.ending.signal.aborted;
  }

  /** Sleeps. Ends early if the storm ends. */
  async pause(milliseconds: number): Promise<void> {
    const until = performance.now() + milliseconds;
    while (!this.over && performance.now() < until) await sleep(Math.min(LOOK_MS, milliseconds));
  }

  /** One request. Null if its response was lost, so that its result is unknown. It waits while the Worker is down. */
  async ask(kind: string, { method = "GET", path, body, token = ADMIN_TOKEN, headers = {} }: Question): Promise<Answer | null> {
    const sent = {
      method,
      redirect: "manual" as const,
      headers: {
        ...headers,
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    };
    for (;;) {
      while (!this.product.running) await sleep(LOOK_MS);
      const askedAt = Date.now();
      try {
        const response = await fetch(`${this.product.url}${path}`, { ...sent, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
        const text = await response.text();
        const answer = { status: response.status, body: jsonOf(text), text, askedAt, answeredAt: Date.now() };
        this.#answered(kind, path, answer);
        return answer;
      } catch (error) {
        // The Worker was down, so the request was not sent.
        if (codeOf(error) === "ECONNREFUSED") continue;
        if (error instanceof Error && error.name === "TimeoutError") this.journal.fault(`${kind}: no answer within ${ANSWER_WITHIN_MS} ms`);
        this.journal.answered(kind, "lost");
        return null;
      }
    }
  }

  /** Repeats a request until the response is not a failure. Only for idempotent requests. */
  async insist(kind: string, question: Question): Promise<Answer> {
    for (;;) {
      const answer = await this.ask(kind, question);
      if (answer !== null && answer.status < 500) return answer;
      await sleep(LOOK_MS);
    }
  }

  /** Controls the simulator. */
  async control<Body = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<Body> {
    const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
    const response = await fetch(`${this.simulator.url}/_simulator${path}`, init);
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Body;
  }

  /** Like `npm start`: the new process wakes the work that the old one left asleep. */
  async restart(pauseMs: number): Promise<void> {
    this.journal.brokenAt.push(Date.now());
    this.journal.count("kills");
    await this.product.kill();
    await sleep(pauseMs);
    const startedAt = Date.now();
    await this.product.start();
    await this.wake(startedAt);
  }

  async wake(startedAt: number): Promise<void> {
    // If the storm interrupts a wake job, the next start runs another one.
    await wakeJobs({ url: this.product.url, token: ADMIN_TOKEN }, startedAt, () => this.journal.count("wakes that failed"));
  }

  async #migrate(): Promise<void> {
    const { unstable_splitSqlQuery: statementsOf } = await import("wrangler");
    for (const [of, folder] of [
      ["DB", `${ROOT}worker/migrations`],
      ["CATALOG", `${ROOT}worker/catalog-migrations`],
    ] as const) {
      for (const name of readdirSync(folder).toSorted()) {
        await this.#inside({ of, batch: statementsOf(readFileSync(join(folder, name), "utf8")) });
      }
    }
  }

  /** All rows of a D1 statement. */
  async d1<Row>(sql: string, ...values: Value[]): Promise<Row[]> {
    return this.#inside<Row>({ of: "DB", sql, values });
  }

  /** All rows of a statement on the catalog. */
  async catalog<Row>(sql: string, ...values: Value[]): Promise<Row[]> {
    return this.#inside<Row>({ of: "CATALOG", sql, values });
  }

  /** All rows of a statement on the ledger's own store. */
  async ledger<Row>(sql: string, ...values: Value[]): Promise<Row[]> {
    return this.#inside<Row>({ of: "QuotaLedger", name: LEDGER, sql, values });
  }

  /** All rows of a statement on a tenant's database. */
  async tenant<Row>(project: string, sql: string): Promise<Row[]> {
    return this.#inside<Row>({ of: "TenantDatabase", name: project, sql, values: [] });
  }

  /** Evicts an idle object from memory. Its next request starts it again. Returns false if it is busy or not in memory. */
  async evict(of: "QuotaLedger" | "TenantDatabase", name = LEDGER): Promise<boolean> {
    return this.#inside({ of, name }).then(
      () => true,
      () => false,
    );
  }

  /** Aborts every object, regardless of its work, including D1 and the engine of Workflows. The Worker itself keeps running. */
  async abortObjects(): Promise<void> {
    this.journal.brokenAt.push(Date.now());
    await this.#inside({});
    // For local Workflows, an abort is like a restart.
    await this.wake(Date.now());
  }

  async #inside<Row>(question: object): Promise<Row[]> {
    const response = await fetch(await this.product.urlOf(CONTROL), { method: "POST", body: JSON.stringify(question) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${JSON.stringify(question)}: ${text}`);
    return JSON.parse(text) as Row[];
  }

  async close(): Promise<void> {
    await Promise.all([this.product.stop(), this.simulator.stop()]);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #answered(kind: string, path: string, { status, body, text }: Answer): void {
    const code = typeof body["code"] === "string" ? ` ${body["code"]}` : "";
    this.journal.answered(kind, `${status}${code}`);
    if (status === 500) this.journal.fault(`${kind} ${path}: 500 ${text.slice(0, 500)}`);
  }
}

const sleep = async (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Errors in the log are counted by their message. */
function note(journal: Journal, name: string) {
  return ({ level, message }: Logged): void => {
    if (level !== "error") return;
    const parsed = jsonOf(message)["message"];
    journal.answered(`${name} logs`, typeof parsed === "string" ? parsed.slice(0, 80) : (message.split("\n", 1)[0] ?? "").slice(0, 80));
  };
}

function jsonOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function codeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : null;
  return cause instanceof Error && "code" in cause ? String(cause.code) : "";
}

// Starts the simulator as callers meet it: the real bundle, in workerd, over HTTP.
import { beforeAll, beforeEach } from "vitest";
import { z } from "zod";
import { wrangler } from "../../../scripts/start/wrangler.ts";

export const KEY = "simulator-key";
export const BOOK = "/book/9780132350884";
export const DAILY = "Daily quota exceeded, please try again later";
export const MINUTE = "Per minute quota exceeded, please try again later";

const CONFIG_PATH = new URL("../../../scripts/isbndb-simulator/wrangler.jsonc", import.meta.url);

export interface Reply {
  status: number;
  headers: Headers;
  text: string;
  json: () => unknown;
  /** The body, checked. */
  read: <Schema extends z.ZodType>(schema: Schema) => z.output<Schema>;
}

const totals = z.strictObject({ requests: z.int(), billed_requests: z.int(), calls: z.int() });

const stateSchema = z.strictObject({
  now: z.iso.datetime(),
  day: z.iso.date(),
  spent: z.int(),
  left: z.int(),
  requests: z.int(),
  billed_requests: z.int(),
  settings: z.record(z.string(), z.unknown()),
  faults: z.array(z.looseObject({ id: z.int(), kind: z.string(), after: z.int(), times: z.int(), matched: z.int() })),
  by_endpoint: z.record(z.string(), totals),
});

export type SimulatorState = z.infer<typeof stateSchema>;

const accepted = async (reply: Promise<Reply>): Promise<SimulatorState> => {
  const { status, text, read } = await reply;
  if (status !== 200) throw new Error(`the simulator answered ${status}: ${text}`);
  return read(stateSchema);
};

const harness = wrangler.createTestHarness({ workers: [{ configPath: CONFIG_PATH }] });
let listening: Promise<{ url: URL }> | null = null;

export const stopSimulator = async (): Promise<void> => harness.close();

/** The simulator of the file, reset before each test. It has no rate limit, so that only tests of the rate limit meet it. */
export const startSimulator = () => {
  let base: URL;

  const request = async (method: string, path: string, init: { headers?: Record<string, string>; body?: string } = {}): Promise<Reply> => {
    const response = await fetch(new URL(path, base), { method, redirect: "manual", ...init });
    const text = await response.text();
    const json = (): unknown => JSON.parse(text);
    return { status: response.status, headers: response.headers, text, json, read: (schema) => schema.parse(json()) };
  };

  const sendJson = async (method: string, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> =>
    request(method, path, { body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } });

  const control = async (method: string, path: string, body?: unknown): Promise<Reply> =>
    body === undefined ? request(method, `/_simulator${path}`) : sendJson(method, `/_simulator${path}`, body);

  beforeAll(async () => {
    listening ??= harness.listen();
    ({ url: base } = await listening);
  });
  beforeEach(async () => {
    await accepted(control("POST", "/reset"));
    await accepted(control("PUT", "/settings", { rate_per_second: 0 }));
  });

  return {
    harness,
    request,
    control,
    get: async (path: string): Promise<Reply> => request("GET", path, { headers: { authorization: KEY } }),
    batch: async (isbns: readonly (string | number)[]): Promise<Reply> => sendJson("POST", "/books", { isbns }, { authorization: KEY }),
    form: async (path: string, fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Reply> =>
      request("POST", path, {
        body: new URLSearchParams(fields).toString(),
        headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
      }),
    set: async (settings: Record<string, unknown>): Promise<SimulatorState> => accepted(control("PUT", "/settings", settings)),
    fault: async (fault: Record<string, unknown>): Promise<SimulatorState> => accepted(control("POST", "/faults", fault)),
    spend: async (calls: number): Promise<SimulatorState> => accepted(control("POST", "/spend", { calls })),
    state: async (): Promise<SimulatorState> => accepted(control("GET", "/state")),
  };
};

/** Any valid ISBN-13 of the 978 range, by number. */
export const isbnNumber = (index: number): string => {
  const twelve = `978${String(100_000_000 + index)}`;
  const sum = Array.from(twelve).reduce((total, digit, place) => total + Number(digit) * (place % 2 === 0 ? 1 : 3), 0);
  return twelve + String((10 - (sum % 10)) % 10);
};

export const isbns = (count: number): string[] => Array.from({ length: count }, (_, index) => isbnNumber(index));

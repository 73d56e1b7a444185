/** `/_simulator`: reads and changes the state, without a key. JSON requests get JSON, and forms redirect to the page. */
import { Hono } from "hono";
import type { Context } from "hono";
import { z } from "zod";
import type { Account } from "./account.ts";
import { faultSchema } from "./faults.ts";
import { InvalidInput, validate, faultFromForm, settingsFromForm, spendFromForm, whole } from "./input.ts";
import { controlPage } from "./page.tsx";
import { LOG_LENGTH } from "./request-log.ts";
import { settingsPatchSchema } from "./settings.ts";

const spendSchema = z.strictObject({ calls: whole(1, 10_000_000) });

const LIMIT = `a whole number from 1 to ${LOG_LENGTH}`;
const limitSchema = z.object({
  limit: z.coerce.number({ error: LIMIT }).int({ error: LIMIT }).min(1, { error: LIMIT }).max(LOG_LENGTH, { error: LIMIT }).default(100),
});

const isForm = (c: Context): boolean => c.req.header("content-type")?.startsWith("application/x-www-form-urlencoded") ?? false;

const formOf = async (c: Context): Promise<Record<string, string>> => Object.fromEntries(new URLSearchParams(await c.req.text()));

const jsonOf = async (c: Context): Promise<unknown> => {
  const text = await c.req.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidInput([{ field: "body", value: text.slice(0, 200), expected: "valid JSON" }]);
  }
};

export const controlRoutes = (account: Account): Hono => {
  const app = new Hono();

  /** Status 303, so that a reload does not repeat the change. */
  const done = (c: Context): Response => (isForm(c) ? c.redirect("/_simulator", 303) : c.json(account.state()));

  const change = async (c: Context): Promise<Response> => {
    const input = isForm(c) ? settingsFromForm(await formOf(c), account.state().settings) : await jsonOf(c);
    account.change(validate(settingsPatchSchema, input));
    return done(c);
  };

  app.get("/", async (c) => c.html(controlPage(account.state(), account.latestRequests(15))));
  app.get("/state", (c) => c.json(account.state()));
  app.get("/requests", (c) => c.json(account.latestRequests(validate(limitSchema, c.req.query()).limit)));

  app.put("/settings", change);
  app.post("/settings", change);

  app.post("/spend", async (c) => {
    account.spend(validate(spendSchema, isForm(c) ? spendFromForm(await formOf(c)) : await jsonOf(c)).calls);
    return done(c);
  });

  app.post("/faults", async (c) => {
    account.addFault(validate(faultSchema, isForm(c) ? faultFromForm(await formOf(c)) : await jsonOf(c)));
    return done(c);
  });

  const clearFaults = (c: Context): Response => {
    account.clearFaults();
    return done(c);
  };
  app.delete("/faults", clearFaults);
  // Forms cannot send DELETE.
  app.post("/faults/clear", clearFaults);

  app.post("/reset", (c) => {
    account.reset();
    return done(c);
  });

  app.notFound((c) => c.json({ error: "not_found", message: `${c.req.method} ${c.req.path} does not exist` }, 404));

  app.onError((error, c) => {
    if (!(error instanceof InvalidInput)) throw error;
    if (isForm(c)) return c.html(controlPage(account.state(), account.latestRequests(15), error.problems), 400);
    return c.json({ error: "invalid", message: error.message, errors: error.problems }, 400);
  });

  return app;
};

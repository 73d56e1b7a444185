/** Sign-in guard and query parameters of the operators' pages. */
import { invalidField } from "../errors.ts";
import type { AppContext } from "../http/index.ts";
import { pathOf } from "./page.tsx";
import { sessionOf } from "./session.ts";
import type { Session } from "./session.ts";

/** Refresh interval of pages that change every minute. */
export const REFRESH_SECONDS = 15;

/** Serves a page to signed-in readers. Redirects others to the sign-in page, which returns here. */
export function signedIn(show: (c: AppContext, session: Session) => Promise<Response>): (c: AppContext) => Promise<Response> {
  return async (c) => {
    c.header("Cache-Control", "no-store");
    const session = await sessionOf(c);
    if (session !== null) return show(c, session);
    // A submitted form is lost with the session, so only the address of a GET is kept.
    const from = c.req.method === "GET" ? pathOf(c) : "/";
    return c.redirect(from === "/" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(from)}`, 303);
  };
}

/** Path parameter, or "" if the route has none with this name. */
export const pathParameter = (c: AppContext, name: string): string => c.req.param(name) ?? "";

/** Query parameter with a fixed set of values, or null. Throws `invalid_request`. */
export function choiceParameter<Value extends string>(c: AppContext, name: string, values: readonly Value[]): Value | null {
  const given = c.req.query(name) ?? "";
  if (given === "") return null;
  const found = values.find((value) => value === given);
  if (found === undefined) throw invalidField(name, `must be one of ${values.join(", ")} (got ${JSON.stringify(given.slice(0, 80))})`);
  return found;
}

/** Search text from the query, trimmed and cut to `maxLength` characters. */
export const searchParameter = (c: AppContext, name: string, maxLength: number): string =>
  (c.req.query(name) ?? "").trim().slice(0, maxLength);

/** Sequence number that a page of a list ends before, or null for the first page. Throws `invalid_request`. */
export function seqParameter(c: AppContext, name: string): number | null {
  const given = c.req.query(name) ?? "";
  if (given === "") return null;
  if (!/^\d{1,15}$/u.test(given)) throw invalidField(name, "must be the sequence number of an entry");
  return Number(given);
}

/** Cuts a list that was read with one extra row. */
export function pageBySeq<Row extends { readonly seq: number }>(
  rows: readonly Row[],
  limit: number,
): { readonly rows: readonly Row[]; readonly next: number | null } {
  const visible = rows.slice(0, limit);
  return { rows: visible, next: rows.length > limit ? (visible.at(-1)?.seq ?? null) : null };
}

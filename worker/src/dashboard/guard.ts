/** What the pages of operators share: who may see them, and what their addresses may say. */
import { invalidField } from "../errors.ts";
import type { AppContext } from "../http/index.ts";
import { pathOf } from "./page.tsx";
import { sessionOf } from "./session.ts";
import type { Session } from "./session.ts";

/** Of pages whose content changes by the minute. */
export const REFRESH_SECONDS = 15;

/** A page for who is signed in; everybody else is led to the sign-in, and back. */
export function signedIn(show: (c: AppContext, session: Session) => Promise<Response>): (c: AppContext) => Promise<Response> {
  return async (c) => {
    c.header("Cache-Control", "no-store");
    const session = await sessionOf(c);
    if (session !== null) return show(c, session);
    // What was to be sent is lost with the session: back to where it was written.
    const from = c.req.method === "GET" ? pathOf(c) : "/";
    return c.redirect(from === "/" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(from)}`, 303);
  };
}

/** A part of the address; "" where the route has none of that name. */
export const pathParameter = (c: AppContext, name: string): string => c.req.param(name) ?? "";

/** One of a few, or none. Throws `invalid_request`. */
export function chosenOf<Value extends string>(c: AppContext, name: string, all: readonly Value[]): Value | null {
  const given = c.req.query(name) ?? "";
  if (given === "") return null;
  const found = all.find((value) => value === given);
  if (found === undefined) throw invalidField(name, `must be one of ${all.join(", ")}`, given.slice(0, 80));
  return found;
}

/** What somebody looks for, in a line. */
export const soughtText = (c: AppContext, name: string, most: number): string => (c.req.query(name) ?? "").trim().slice(0, most);

/** The running number that a list goes on before; null: from its beginning. Throws `invalid_request`. */
export function beforeSeq(c: AppContext, name: string): number | null {
  const given = c.req.query(name) ?? "";
  if (given === "") return null;
  if (!/^\d{1,15}$/u.test(given)) throw invalidField(name, "must be the number of an entry", given);
  return Number(given);
}

/** Cuts a list that was read with one row more than is shown. */
export function pageBySeq<Row extends { readonly seq: number }>(
  rows: readonly Row[],
  limit: number,
): { readonly rows: readonly Row[]; readonly next: number | null } {
  const shown = rows.slice(0, limit);
  return { rows: shown, next: rows.length > limit ? (shown.at(-1)?.seq ?? null) : null };
}

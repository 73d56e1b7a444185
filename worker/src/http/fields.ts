/** What people write in a line, wherever they write it: in the API and in the dashboard. */
import { z } from "@hono/zod-openapi";

const NAME_CHARACTERS = 200;
const NOTE_CHARACTERS = 500;

/** Text for people: visible, and no longer than a line. */
export const line = (most: number) =>
  z
    .string()
    .trim()
    .min(1, "expected at least one character")
    .max(most, `expected at most ${most} characters`)
    .refine((text) => text === "" || canBeSeen(text), "expected one line of text that can be seen, without broken surrogates");

const canBeSeen = (text: string): boolean => text.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text) && /[^\p{C}\p{Z}\p{M}]/u.test(text);

export const name = line(NAME_CHARACTERS);
export const note = line(NOTE_CHARACTERS);

/** Moments as the API shows them. No I/O. No clock. */
import { isoSeconds } from "../quota/window.ts";

export const isoOrNull = (time: number | null): string | null => (time === null ? null : isoSeconds(time));

/** What the control page's forms send, as what the JSON calls would have sent. No I/O; checking is left to the schemas. */
import type { Settings } from "./settings.ts";

type Form = Readonly<Record<string, string>>;

/** Text that is no number stays text, so that the complaint quotes it. */
const numberOr = (text: string): number | string => (text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text);

const NUMBERS = ["daily_limit", "rate_per_second", "max_batch", "unknown_percent", "latency_ms"] as const;
const TEXTS = ["billing", "dialect"] as const;

/** Lines "name = total"; what was there before and is gone now is taken out. */
const mapFrom = (text: string, current: Record<string, number>): Record<string, number | string | null> => {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const entries = lines.map((line) => {
    const at = line.lastIndexOf("=");
    return at < 0 ? [line.trim(), "no total"] : [line.slice(0, at).trim(), numberOr(line.slice(at + 1).trim())];
  });
  return { ...Object.fromEntries(Object.keys(current).map((name) => [name, null])), ...Object.fromEntries(entries) };
};

export const settingsFromForm = (form: Form, current: Settings): Record<string, unknown> => {
  const patch: Record<string, unknown> = {};
  for (const name of NUMBERS) if (form[name] !== undefined) patch[name] = numberOr(form[name]);
  for (const name of TEXTS) if (form[name] !== undefined) patch[name] = form[name];
  // The field shows what the clock was set to: sent back unchanged, it must not turn the running clock back.
  const clock = form["clock"]?.trim() || null;
  if (form["clock"] !== undefined && clock !== current.clock) patch["clock"] = clock;
  if (form["authors"] !== undefined) patch["authors"] = mapFrom(form["authors"], current.authors);
  if (form["releases"] !== undefined) patch["releases"] = mapFrom(form["releases"], current.releases);
  return patch;
};

export const spendFromForm = (form: Form): Record<string, unknown> => ({ calls: numberOr(form["calls"] ?? "") });

/** Fields left empty are left out; status and hang_ms count only for the kinds that know them. */
export const faultFromForm = (form: Form): Record<string, unknown> => {
  const kind = form["kind"] ?? "";
  const fault: Record<string, unknown> = { kind };
  for (const name of ["path", "method"]) if (form[name]) fault[name] = form[name];
  for (const name of ["after", "times"]) if (form[name]) fault[name] = numberOr(form[name]);
  if (kind === "status") fault["status"] = numberOr(form["status"] ?? "");
  if (kind.startsWith("hang_") && form["hang_ms"]) fault["hang_ms"] = numberOr(form["hang_ms"]);
  return fault;
};

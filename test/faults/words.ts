/** What is told, in the table's words. */

interface Told {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

/** "200: 1 enriched" from the members that are named and not 0, or "503 quota_unavailable, again after 5 s" where it was refused. */
export function tell({ status, headers, body }: Told, members: Readonly<Record<string, string>> = {}): string {
  if (status >= 400) return [`${status} ${String(body["code"])}`, ...refusalOf(headers, body)].join(", ");
  const counted = Object.entries(members).flatMap(([member, words]) => countOf(body[member], words));
  return counted.length === 0 ? String(status) : `${status}: ${counted.join(", ")}`;
}

function refusalOf(headers: Headers, body: Record<string, unknown>): string[] {
  const after = headers.get("retry-after");
  const charged = body["calls_charged"];
  const outcome = body["outcome"];
  return [
    ...(typeof outcome === "string" ? [`\`${outcome}\``] : []),
    ...(typeof charged === "number" ? [`${charged} charged`] : []),
    ...(after === null ? [] : [`again after ${after} s`]),
  ];
}

function countOf(value: unknown, words: string): string[] {
  const number = Array.isArray(value) ? value.length : value;
  if (number === true || typeof number === "string") return [words];
  return typeof number === "number" && number > 0 ? [`${number} ${words}`] : [];
}

/** "no job", "1 job". */
export const some = (count: number, of: string): string => `${count === 0 ? "no" : count} ${of}`;

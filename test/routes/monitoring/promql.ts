/** Finds the series in an expression of Prometheus. Knows enough of the grammar for our own rules and panels. */

export interface Selector {
  readonly name: string;
  /** `is`: a regular expression where the expression has one. */
  readonly matchers: readonly { readonly label: string; readonly is: string }[];
}

const WORDS = new Set([
  "and",
  "or",
  "unless",
  "bool",
  "offset",
  "by",
  "without",
  "on",
  "ignoring",
  "group_left",
  "group_right",
  "inf",
  "nan",
]);

/** Grouping labels and durations, which are not names of metrics. */
const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)|\[[^\]]*\]|\boffset\s+\S+/gu;

export function selectorsIn(expression: string): Selector[] {
  const found = expression.replaceAll(GROUPING, " ").matchAll(/(?<![\w"$.])([a-zA-Z_:][\w:]*)\s*(\(|\{[^}]*\})?/gu);
  return [...found].flatMap(([, name = "", after = ""]) => {
    if (after === "(" || WORDS.has(name.toLowerCase())) return [];
    const matchers = [...after.matchAll(/(\w+)\s*=~?\s*"([^"]*)"/gu)].map(([, label = "", is = ""]) => ({ label, is }));
    return [{ name, matchers }];
  });
}

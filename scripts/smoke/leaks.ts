/** What no answer may show: secrets, the provider's address, the inside of the program. No I/O. */
import type { Answer } from "./client.ts";

const TELLTALES: readonly (readonly [what: string, pattern: RegExp])[] = [
  ["a stack", /\n\s+at \S.*:\d+:\d+/u],
  ["a stack", /"stack"\s*:/u],
  ["a source file", /file:\/\/\/|\bnode_modules\/|\/src\/[\w/-]+\.ts\b/u],
  ["a database error", /\bSQLITE_[A-Z]+|\bD1_ERROR\b/u],
  ["the provider's address", /\bapi\d?(?:\.\w+)?\.isbndb\.com\b/u],
];

/** Anything shorter may stand in an answer by chance. */
const SHORTEST_SECRET = 8;

/** One sentence for each thing found. Answers are searched with their headers; the request's own words are not ours. */
export function leaksIn(answers: readonly Answer[], secrets: readonly string[]): string[] {
  const found = answers.flatMap(({ request, headers, text }) => {
    const all = `${[...headers].map(([name, value]) => `${name}: ${value}`).join("\n")}\n${text}`;
    // Escaped line ends, so that a stack in a JSON text looks like one.
    const readable = all.replaceAll(String.raw`\n`, "\n");
    return [
      ...(secrets.some((secret) => secret.length >= SHORTEST_SECRET && all.includes(secret))
        ? [`a secret in the answer to ${request}`]
        : []),
      ...TELLTALES.flatMap(([what, pattern]) => (pattern.test(readable) ? [`${what} in the answer to ${request}`] : [])),
    ];
  });
  return [...new Set(found)];
}

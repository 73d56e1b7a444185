/** Searches responses for secrets, the provider's address and internals of the program. No I/O. */
import type { Answer } from "./client.ts";

const LEAKS: readonly (readonly [name: string, pattern: RegExp])[] = [
  ["a stack", /\n\s+at \S.*:\d+:\d+/u],
  ["a stack", /"stack"\s*:/u],
  ["a source file", /file:\/\/\/|\bnode_modules\/|\/src\/[\w/-]+\.ts\b/u],
  ["a database error", /\bSQLITE_[A-Z]+|\bD1_ERROR\b/u],
  ["the provider's address", /\bapi\d?(?:\.\w+)?\.isbndb\.com\b/u],
];

/** Minimum length of a secret to search for. Shorter ones could match ordinary words. */
const MIN_SECRET_LENGTH = 8;

/** One sentence for each leak. Searches bodies and headers of responses, but not the requests. */
export function leaksIn(answers: readonly Answer[], secrets: readonly string[]): string[] {
  const found = answers.flatMap(({ request, headers, text }) => {
    const all = `${[...headers].map(([name, value]) => `${name}: ${value}`).join("\n")}\n${text}`;
    // Unescapes line breaks, so that a stack in JSON matches too.
    const readable = all.replaceAll(String.raw`\n`, "\n");
    return [
      ...(secrets.some((secret) => secret.length >= MIN_SECRET_LENGTH && all.includes(secret))
        ? [`a secret in the response to ${request}`]
        : []),
      ...LEAKS.flatMap(([name, pattern]) => (pattern.test(readable) ? [`${name} in the response to ${request}`] : [])),
    ];
  });
  return [...new Set(found)];
}

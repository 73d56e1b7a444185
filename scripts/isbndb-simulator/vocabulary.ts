/** Words of generated books and authors. Adding a word changes every generated book, which tests may depend on. */
import words from "./vocabulary.json" with { type: "json" };

/** One hundred names each, so that an author's place in the pool has two digits of first name and two of last name. */
export const FIRST_NAMES: readonly string[] = words.first_names;
export const LAST_NAMES: readonly string[] = words.last_names;

export const ADJECTIVES: readonly string[] = words.adjectives;
export const NOUNS: readonly string[] = words.nouns;
export const SUBJECTS: readonly string[] = words.subjects;
/** Invented names, so that no real publisher is credited with a generated book. */
export const PUBLISHERS: readonly string[] = words.publishers;

/** Reads the definition of a virtual table: its shadow tables, and the source of its rows. No I/O. */
import { quoteName, unquoted } from "./literals.ts";
import type { Token } from "./tokens.ts";
import { lowerCase, wordOf } from "./tokens.ts";
import { Undumpable } from "./undumpable.ts";

/** Another table or view that holds the text of a full-text table. */
export interface Content {
  readonly table: string;
  readonly rowid: string;
  /** Whether the index records its row ids. */
  readonly hasSizes: boolean;
}

export interface VirtualTable {
  readonly name: string;
  readonly module: "fts5" | "rtree" | "fts5vocab";
  /** Names of its shadow tables, in lower case. */
  readonly shadowTables: readonly string[];
  /** Null if the table stores its own rows, or has none. */
  readonly content: Content | null;
}

/** Options in the order of fts5. It accepts the beginning of a name, and the first match applies. */
const FTS5_OPTIONS = [
  "prefix",
  "tokenize",
  "content",
  "contentless_delete",
  "contentless_unindexed",
  "content_rowid",
  "columnsize",
  "locale",
  "detail",
  "tokendata",
];

/** Throws `Undumpable` for a table that cannot be read back. */
export function virtualTableOf(name: string, tokens: readonly Token[]): VirtualTable {
  const using = tokens.findIndex((token) => wordOf(token) === "USING");
  const module = lowerCase(nameOf(tokens[using + 1]));
  const shadowNames = (...suffixes: string[]): string[] => suffixes.map((suffix) => lowerCase(`${name}_${suffix}`));
  switch (module) {
    case "rtree":
    case "rtree_i32":
      return { name, module: "rtree", shadowTables: shadowNames("node", "parent", "rowid"), content: null };
    case "fts5vocab":
      return { name, module, shadowTables: [], content: null };
    case "fts5": {
      const options = fts5Options(tokens.slice(using + 2));
      const table = options.get("content");
      const hasSizes = options.get("columnsize") !== "0";
      if (table === "")
        throw new Undumpable(`The full-text table ${quoteName(name)} keeps no content (content=''), so it cannot be read back.`);
      if (options.has("locale")) throw new Undumpable(`The full-text table ${quoteName(name)} keeps locales, which cannot be read back.`);
      const shadowTables = shadowNames(
        "data",
        "idx",
        "config",
        ...(hasSizes ? ["docsize"] : []),
        ...(table === undefined ? ["content"] : []),
      );
      return {
        name,
        module,
        shadowTables,
        content: table === undefined ? null : { table, rowid: options.get("content_rowid") ?? "rowid", hasSizes },
      };
    }
    default:
      throw new Undumpable(`The virtual table ${quoteName(name)} uses a module that cannot be read back: ${module}.`);
  }
}

const nameOf = (token: Token | undefined): string => (token?.kind === "quoted" ? unquoted(token.text) : (token?.text ?? ""));

/** Arguments of the form `word = value`. Other arguments are columns. */
function fts5Options(tokens: readonly Token[]): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  tokens.forEach((token, index) => {
    const isFirst = ["(", ","].includes(tokens[index - 1]?.text ?? "");
    if (!isFirst || token.kind !== "word" || tokens[index + 1]?.text !== "=") return;
    const option = FTS5_OPTIONS.find((each) => each.startsWith(lowerCase(token.text)));
    // A missing value is an empty one.
    const value = tokens[index + 2];
    if (option !== undefined) options.set(option, value?.kind === "operator" ? "" : nameOf(value));
  });
  return options;
}

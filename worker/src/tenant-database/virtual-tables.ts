/** What a virtual table's own definition says: what it keeps in tables of its own, and from where its rows can be read back. No I/O. */
import { quoteName, unquoted } from "./literals.ts";
import type { Token } from "./tokens.ts";
import { wordOf } from "./tokens.ts";
import { Undumpable } from "./undumpable.ts";

/** Text that stands in another table or view, of which a full-text table is an index. */
export interface Content {
  readonly table: string;
  readonly rowid: string;
  /** Whether the index notes which rows it holds. */
  readonly hasSizes: boolean;
}

export interface VirtualTable {
  readonly name: string;
  readonly module: "fts5" | "rtree" | "fts5vocab";
  /** Tables that it keeps by itself, in lower case. */
  readonly owns: readonly string[];
  /** Null where its rows are its own, or it has none. */
  readonly content: Content | null;
}

/** As fts5 looks for them: what is given may be the beginning of a name, and the first that fits is meant. */
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

/** Throws `Undumpable` for what cannot be read back. */
export function virtualTableOf(name: string, tokens: readonly Token[]): VirtualTable {
  const using = tokens.findIndex((token) => wordOf(token) === "USING");
  const module = nameOf(tokens[using + 1]).toLowerCase();
  const keeps = (...suffixes: string[]): string[] => suffixes.map((suffix) => `${name}_${suffix}`.toLowerCase());
  switch (module) {
    case "rtree":
    case "rtree_i32":
      return { name, module: "rtree", owns: keeps("node", "parent", "rowid"), content: null };
    case "fts5vocab":
      return { name, module, owns: [], content: null };
    case "fts5": {
      const options = fts5Options(tokens.slice(using + 2));
      const table = options.get("content");
      const hasSizes = options.get("columnsize") !== "0";
      if (table === "")
        throw new Undumpable(`The full-text table ${quoteName(name)} keeps no content (content=''), so that nothing can read it back.`);
      if (options.has("locale")) throw new Undumpable(`The full-text table ${quoteName(name)} keeps locales, which cannot be read back.`);
      const owns = keeps("data", "idx", "config", ...(hasSizes ? ["docsize"] : []), ...(table === undefined ? ["content"] : []));
      return {
        name,
        module,
        owns,
        content: table === undefined ? null : { table, rowid: options.get("content_rowid") ?? "rowid", hasSizes },
      };
    }
    default:
      throw new Undumpable(`The virtual table ${quoteName(name)} is of a kind that cannot be read back: ${module}.`);
  }
}

const nameOf = (token: Token | undefined): string => (token?.kind === "quoted" ? unquoted(token.text) : (token?.text ?? ""));

/** Arguments of the form `word = value`; the others are columns. */
function fts5Options(tokens: readonly Token[]): ReadonlyMap<string, string> {
  const options = new Map<string, string>();
  tokens.forEach((token, index) => {
    const isFirst = ["(", ","].includes(tokens[index - 1]?.text ?? "");
    if (!isFirst || token.kind !== "word" || tokens[index + 1]?.text !== "=") return;
    const option = FTS5_OPTIONS.find((each) => each.startsWith(token.text.toLowerCase()));
    if (option !== undefined) options.set(option, nameOf(tokens[index + 2]));
  });
  return options;
}

/** Language codes from the provider's language names and codes. No I/O. No clock. */
// Listed here, because the runtime's own data knows only three quarters of these names.
const ISO_639_1 = new Set(
  (
    "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br " +
    "bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es et " +
    "eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht " +
    "hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk " +
    "kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg " +
    "mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny " +
    "oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se " +
    "sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk " +
    "tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo " +
    "za zh zu"
  ).split(" "),
);

/** Spellings in catalogs that Intl spells differently. */
const OTHER_NAMES = {
  bengali: "bn",
  castilian: "es",
  farsi: "fa",
  flemish: "nl",
  kirghiz: "ky",
  mandarin: "zh",
  "modern greek": "el",
  oriya: "or",
  tagalog: "tl",
  tibetan: "bo",
} as const;

let codesByName: ReadonlyMap<string, string> | undefined;

/** The ISO 639-1 code of a name or code such as "English", "eng", "en_US" or "EN". Null if it is not a language or has no such code. */
export function languageCode(text: string): string | null {
  // Library catalogs add alternatives, such as "Greek, Modern (1453-)". The first part names the language.
  const name = plain(text.split(/[;,/(]/u, 1)[0] ?? "");
  codesByName ??= namesToCodes();
  return codesByName.get(name) ?? codeFrom(name.split(/[-_]/u, 1)[0] ?? "");
}

/** Intl converts deprecated and three-letter codes: "iw" to "he", "fre" and "fra" to "fr". */
function codeFrom(tag: string): string | null {
  if (!/^[a-z]{2,3}$/u.test(tag)) return null;
  const code = new Intl.Locale(tag).language;
  // Intl treats Tagalog as Filipino, which has no two-letter code.
  if (code === "fil") return "tl";
  return ISO_639_1.has(code) ? code : null;
}

function namesToCodes(): ReadonlyMap<string, string> {
  const names = new Intl.DisplayNames("en", { type: "language" });
  return new Map([
    ...Object.entries(OTHER_NAMES),
    ...[...ISO_639_1].map((code) => [plain(names.of(code) ?? code), codeFrom(code) ?? code] as const),
  ]);
}

function plain(name: string): string {
  return name.trim().toLowerCase().normalize("NFD").replaceAll(/\p{M}/gu, "");
}

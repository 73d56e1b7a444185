/** Language codes from the names and codes that the provider sends. No I/O. No clock. */
// Written out, because the runtime's own data knows the names of only three quarters of them.
const ISO_639_1 = new Set(
  (
    "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es et eu " +
    "fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn " +
    "ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os " +
    "pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw " +
    "ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu"
  ).split(" "),
);

/** What catalogues write and Intl spells otherwise. */
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

/** The ISO 639-1 code of "English", "eng", "en_US" or "EN"; null for what names no language, or one without such a code. */
export function languageCode(text: string): string | null {
  // Library catalogues write "Spanish; Castilian" and "Greek, Modern (1453-)": the first part names the language.
  const name = plain(text.split(/[;,/(]/u, 1)[0] ?? "");
  codesByName ??= namesToCodes();
  return codesByName.get(name) ?? codeFrom(name.split(/[-_]/u, 1)[0] ?? "");
}

/** Intl turns deprecated and three-letter codes into today's: "iw" is "he", "fre" and "fra" are "fr". */
function codeFrom(tag: string): string | null {
  if (!/^[a-z]{2,3}$/u.test(tag)) return null;
  const code = new Intl.Locale(tag).language;
  // To Intl, Tagalog is Filipino, which has no two letters.
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

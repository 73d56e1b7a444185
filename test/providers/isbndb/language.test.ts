import { expect, it } from "vitest";
import { languageCode } from "../../../worker/src/providers/isbndb/language.ts";

it.each([
  ["en", "en"],
  ["EN", "en"],
  ["eng", "en"],
  ["en_US", "en"],
  ["pt-BR", "pt"],
  ["English", "en"],
  [" french ", "fr"],
  ["fre", "fr"],
  ["ger", "de"],
  ["iw", "he"],
  ["Hebrew", "he"],
  ["Spanish; Castilian", "es"],
  ["Greek, Modern (1453-)", "el"],
  ["Chinese", "zh"],
  ["Norwegian", "no"],
  ["Filipino", "tl"],
  ["tgl", "tl"],
  ["Bengali", "bn"],
  ["Maori", "mi"],
  ["Akan", "ak"],
  ["chi", "zh"],
  ["se", "se"],
])("the language %j is %j", (text, code) => {
  expect(languageCode(text)).toBe(code);
});

it.each(["", "und", "xx", "n/a", "Englisch?", "unknown", "1", "Klingonese of Mars", "grc", "mul"])("%j has no code", (text) => {
  expect(languageCode(text)).toBeNull();
});

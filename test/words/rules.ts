/** What makes a passage hard to read: phrases with a plain substitute, and sentences that are too long. No I/O. */
import type { Passage } from "./passages.ts";

export interface Remark {
  readonly line: number;
  readonly message: string;
}

/** Words of one sentence. */
const MOST_WORDS: Readonly<Record<Passage["kind"], number>> = { text: 20, heading: 10, cell: 12, comment: 25, string: 20 };

interface Phrase {
  readonly pattern: RegExp;
  readonly instead: string;
}

const phrase = (words: string, instead: string): Phrase => ({ pattern: new RegExp(`(?<![\\w-])(?:${words})(?![\\w-])`, "giu"), instead });

export const PHRASES: readonly Phrase[] = [
  phrase("nobody|somebody|everybody|anybody|someone|whoever|whomever|whatever|whichever", "the actor's name, or “no caller”"),
  phrase("at this moment|at the moment", "“now” or “currently”"),
  phrase("any more", "“no longer”"),
  phrase("once more|anew", "“again”"),
  phrase("beside", "“next to”, “with” or “besides”"),
  phrase("for nothing", "“free”"),
  phrase("by itself|of itself", "“automatically”"),
  phrase("at once", "“immediately” or “concurrently”"),
  phrase("go on|goes on|going on|went on|gone on", "“continue” or “resume”"),
  phrase("tells?|told|telling|untold", "“report”, “notify” or “say”"),
  phrase("ask(?:s|ed|ing) for|is asked|are asked|was asked|were asked|asks|asked|asking", "“request”, “query” or “send”"),
  phrase("tries|(?:a|each|every|this|last|one|first|another|next|the|its) try", "“attempts” or “retries”"),
  phrase("mend(?:s|ed|ing)?", "“fix”"),
  phrase("under ?way", "“in progress” or “in flight”"),
  phrase("give[sn]? back|gave back|giving back", "“return” or “release”"),
  phrase("(?:write|writes|written|wrote|writing) (?:it |them |this |that )?down", "“record”"),
  phrase("hand(?:s|ed|ing)? on", "“dispatch” or “pass on”"),
  phrase("its life|their life|lives", "“retention”, “lifetime” or “it expires”"),
  phrase("is away|are away|was away", "“is unavailable”"),
  phrase("of the day", "“daily” or “today's”"),
  phrase("of ours|of theirs|of mine|of yours", "the owner's name"),
  phrase("is no(?! longer)|are no(?! longer)|was no(?! longer)|were no(?! longer)", "“is not” or “there is no”"),
  phrase(
    "(?:null|true|false|none|empty|undefined|only|except|and|or|but) where|where (?:there|it|they|not|none|nothing|no|one)",
    "“if” or “when”",
  ),
  phrase("became of|becomes of|become of|came to|comes to", "“result” or “outcome”"),
  phrase("make room|makes room|has room", "“free space”"),
  phrase("stands? (?:for|in|there|still|twice)|stood", "“is” or “appears”"),
  phrase("through with|not through|through yet", "“finished”"),
  phrase("all the time", "“repeatedly” or “throughout”"),
  phrase("left behind", "“unfinished” or “stalled”"),
  phrase("in between|in the midst|midway", "“between” or “partly done”"),
  phrase("thereof|whereof|wherein|therein|thereby|whereby|hereby|henceforth", "a plain word"),
  phrase("twice is once|no affair of", "“idempotent” or a fact"),
  phrase(
    "organis(?:e|es|ed|ing|ation|ations)|behaviours?|colours?|catalogues?|favour(?:s|ed)?|honours?|licence|centre|analyse[sd]?|recognise[sd]?|initialis(?:e|es|ed|ation)|serialis(?:e|es|ed|ation)|summaris(?:e|es|ed)|normalis(?:e|es|ed|ation)|materialis(?:e|es|ed)|neighbours?|labelled|travell(?:ed|ing)",
    "the American spelling",
  ),
  phrase("certainly", "“definitely”"),
  phrase("(?:is|are|was|were|be|been) given up", "“abandoned”"),
  phrase("(?:is|are|was|were|be|been) summed up|projects summed up", "“added up” or “one total”"),
  phrase("reasons? of", "“reason for”"),
  phrase("increase of (?:the|this|that|its)", "“increase in”"),
  phrase("in the same time", "“in the same period”"),
  phrase("(?:can|may|must) therefore not", "“therefore cannot”"),
  phrase("some (?:seconds|minutes|hours|days)", "“a few”"),
  phrase("an outage of (?:seconds|minutes|hours|days|months)", "“of several”"),
  phrase(
    "(?:in|with|of|at|under|as|has|have|had|use[sd]?) another (?:way|order|form|format|shape|type|kind|size|rate|version|status|value|body|payload|content)",
    "“a different”",
  ),
  phrase("safety limit", "“limit”"),
  // American text has no space before the sign. In SQL and code, it is an operator.
  { pattern: /[\dX] %(?! ?[\d(])/giu, instead: "“%” without a space" },
];

const WHAT = /(?<![\w-])what(?![\w-])(?! to )/iu;

export function remarksOn(passage: Passage): Remark[] {
  const { line, kind } = passage;
  const text = passage.text.replaceAll(/https?:\/\/\S+/gu, "X");
  const remarks = PHRASES.flatMap(({ pattern, instead }) =>
    [...text.matchAll(pattern)].map(([found]) => ({ line, message: `“${found}”: write ${instead}` })),
  );
  for (const sentence of sentencesOf(text)) {
    const words = wordsOf(sentence);
    const most = MOST_WORDS[kind];
    if (words > most) remarks.push({ line, message: `${words} words; a ${NAMES[kind]} has at most ${most}: “${shortened(sentence)}”` });
    if (WHAT.test(sentence) && !sentence.trim().endsWith("?") && kind !== "heading") {
      remarks.push({ line, message: `“what”: write a noun instead of the clause: “${shortened(sentence)}”` });
    }
    // In a table's cell it separates two short facts.
    if (/;\s/u.test(sentence) && kind !== "cell")
      remarks.push({ line, message: `a semicolon: begin a new sentence: “${shortened(sentence)}”` });
  }
  return remarks;
}

const NAMES: Readonly<Record<Passage["kind"], string>> = {
  text: "sentence",
  heading: "heading",
  cell: "table cell's sentence",
  comment: "comment's sentence",
  string: "message's sentence",
};

const SENTENCES = new Intl.Segmenter("en", { granularity: "sentence" });
const WORDS = new Intl.Segmenter("en", { granularity: "word" });

/** A colon before a list or an example ends a sentence as a full stop does. The segmenter sees no end before a number. */
function sentencesOf(text: string): string[] {
  return [...SENTENCES.segment(text)].flatMap(({ segment }) => segment.split(/(?<=:)\s|(?<=[.!?])\s+(?=\d)/u));
}

function wordsOf(sentence: string): number {
  return [...WORDS.segment(sentence)].filter(({ isWordLike }) => isWordLike === true).length;
}

function shortened(sentence: string): string {
  const text = sentence.trim();
  return text.length <= 90 ? text : `${text.slice(0, 87)}…`;
}

/** Hostile bodies, made from a valid one. */
import { nested } from "./schema.ts";

type Json = Record<string, unknown>;

/** A body and its headers. */
export interface HostileBody {
  readonly name: string;
  readonly body: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
}

const DEEP = 100_000;
const deepArray = "[".repeat(DEEP) + "]".repeat(DEEP);
const deepObject = `${'{"a":'.repeat(DEEP)}1${"}".repeat(DEEP)}`;

const MEGABYTES_10 = `{"x":"${"x".repeat(10_000_000)}"}`;
const MANY_MEMBERS = JSON.stringify(Object.fromEntries(Array.from({ length: 60_000 }, (_, index) => [`m${index}`, 0])));

/** A copy with every string or number replaced. */
function replaced(value: unknown, type: "string" | "number", by: unknown): unknown {
  if (Array.isArray(value)) return value.map((each: unknown) => replaced(each, type, by));
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, replaced(member, type, by)]));
  }
  return typeof value === type ? by : value;
}

const utf16 = (text: string, littleEndian: boolean): Uint8Array<ArrayBuffer> => {
  const view = new DataView(new ArrayBuffer(2 * text.length + 2));
  Array.from({ length: text.length + 1 }, (_, index) =>
    view.setUint16(2 * index, index === 0 ? 0xfeff : text.charCodeAt(index - 1), littleEndian),
  );
  return new Uint8Array(view.buffer);
};

/** The text with invalid UTF-8 at the start of its first string. */
function invalidUtf8(text: string): Uint8Array<ArrayBuffer> {
  const bytes = Uint8Array.from(new TextEncoder().encode(text));
  const at = text.indexOf(':"') + 2;
  if (at > 1) bytes.set([0xc0, 0xaf].slice(0, bytes.length - at), at);
  return bytes;
}

const gzip = async (text: string): Promise<Uint8Array<ArrayBuffer>> =>
  new Uint8Array(await new Response(new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer());

const SQL = "x');DROP TABLE projects;UPDATE api_keys SET revoked_at = 1;--";

/** The body with these digits in place of every number. JSON.stringify cannot write them. */
const asNumber = (validBody: Json, digits: string): string =>
  JSON.stringify(replaced(replaced(validBody, "number", "<n>"), "string", "<n>")).replaceAll('"<n>"', digits);

export async function hostileBodies(validBody: Json): Promise<HostileBody[]> {
  const text = JSON.stringify(validBody);
  const inner = text.slice(1, -1);
  const texts = (by: string): string => JSON.stringify(replaced(validBody, "string", by));
  const every = (by: unknown): string => JSON.stringify(Object.fromEntries(Object.keys(validBody).map((name) => [name, by])));
  const members = Object.keys(validBody).map((name) => `${JSON.stringify(name)}:<deep>`);
  const json = { "content-type": "application/json" };
  return [
    { name: "lists, 100,000 deep", body: deepArray },
    { name: "objects, 100,000 deep", body: deepObject },
    { name: "all members 20,000 deep", body: every(nested(1)).replaceAll("[]", "[".repeat(20_000) + "]".repeat(20_000)) },
    { name: "an unknown member, 100,000 deep", body: `{${inner}${inner === "" ? "" : ","}"unknown":${deepArray}}` },
    {
      name: "a member of each, 50,000 deep",
      body: `{${members.join(",")}}`.replace("<deep>", "[".repeat(50_000) + "]".repeat(50_000)).replaceAll("<deep>", "1"),
    },
    ...["1e400", "-1e400", "9007199254740993", "-0", "1.0000000000000000001", "0.1", `1${"0".repeat(5_000)}`].map((digits) => ({
      name: `numbers that are ${digits.slice(0, 20)}`,
      body: asNumber(validBody, digits),
    })),
    { name: "texts with NUL", body: texts("a\u0000b") },
    { name: "texts with a broken surrogate", body: texts("a\uD800b") },
    { name: "texts with CR and LF", body: texts("a\r\nset-cookie: qc_session=1") },
    { name: "texts that are SQL", body: texts(SQL) },
    { name: "texts of 100,000 characters", body: texts("x".repeat(100_000)) },
    { name: "every member twice", body: inner === "" ? '{"a":1,"a":2}' : `{${inner},${inner}}` },
    {
      name: "members of the prototype",
      body: `{${inner}${inner === "" ? "" : ","}"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}`,
    },
    { name: "60,000 members", body: MANY_MEMBERS },
    { name: "UTF-16, little endian", body: utf16(text, true), headers: { "content-type": "application/json; charset=utf-16" } },
    { name: "UTF-16, big endian", body: utf16(text, false), headers: json },
    { name: "invalid UTF-8", body: invalidUtf8(text), headers: json },
    { name: "only invalid UTF-8", body: new Uint8Array(64).fill(0xff), headers: json },
    { name: "compressed, with content-encoding", body: await gzip(text), headers: { ...json, "content-encoding": "gzip" } },
    { name: "compressed, without content-encoding", body: await gzip(text), headers: json },
    { name: "a form", body: "a=1&b=2", headers: { "content-type": "application/x-www-form-urlencoded" } },
    { name: "JSON sent as text", body: text, headers: { "content-type": "text/plain" } },
    { name: "two types", body: text, headers: { "content-type": "application/json, text/plain" } },
    { name: "10 MB", body: MEGABYTES_10 },
  ];
}

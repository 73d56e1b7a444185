/** What the runtime has and its types do not name. */
declare module "node:zlib" {
  /** CRC-32 of the text's UTF-8, unsigned. */
  export function crc32(data: string): number;
}

/** Members of the runtime that its published types do not declare. */
declare module "node:zlib" {
  /** CRC-32 of the text's UTF-8, unsigned. */
  export function crc32(data: string): number;
}

declare module "node:async_hooks" {
  /** A value that follows a call through every `await`, regardless of concurrent work. */
  export class AsyncLocalStorage<Store> {
    getStore(): Store | undefined;
    run<Result>(store: Store, work: () => Result): Result;
  }
}

declare module "node:crypto" {
  interface Hash {
    update(data: string | Uint8Array): Hash;
    digest(encoding: "hex"): string;
  }
  /** Synchronous and fed piece by piece, which WebCrypto's digest is not. */
  export function createHash(algorithm: "sha256"): Hash;
}

declare module "node:buffer" {
  type Encoding = "hex" | "base64" | "latin1";
  export class Buffer extends Uint8Array<ArrayBuffer> {
    static from(text: string, encoding: Encoding): Buffer;
    static from(bytes: ArrayBufferLike, offset?: number, length?: number): Buffer;
    static byteLength(text: string): number;
    override subarray(from: number): Buffer;
    override toString(encoding?: Encoding): string;
  }
}

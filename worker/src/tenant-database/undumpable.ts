/** What no dump can hold. No I/O. No clock. */

/** It holds something that cannot be written as SQL, or not so that every reader takes it for what it is. */
export class Undumpable extends Error {
  override readonly name = "Undumpable";
}

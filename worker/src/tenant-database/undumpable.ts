/** The error for content that a dump cannot hold. No I/O. No clock. */

/** The content has no form in SQL, or none that every reader understands in the same way. */
export class Undumpable extends Error {
  override readonly name = "Undumpable";
}

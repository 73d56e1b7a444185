/** An error whose message is complete. It is printed without a stack, and the exit code is 1. */
export class UserError extends Error {
  /** @override */
  name = "UserError";
}

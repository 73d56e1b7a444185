/** Runs work within the limits of one invocation. */
import { Invocation, platform, runIn } from "../../scripts/strict-platform/index.ts";
import type { InvocationKind } from "../../scripts/strict-platform/index.ts";

export const inInvocation = async <Result>(work: () => Promise<Result>, kind: InvocationKind = "request"): Promise<Result> =>
  runIn(new Invocation(kind), work);

/** The error of work that exceeds a limit, which then does not count as a mistake of the test. */
export async function exceeding(work: () => Promise<unknown>, kind: InvocationKind = "request"): Promise<string> {
  const message = await inInvocation(work, kind).then(
    () => "no error",
    (error: unknown) => String(error),
  );
  platform.takeExceeded();
  return message;
}

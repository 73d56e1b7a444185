/** Complete error bodies of the API. */
import { Problem, problemBody } from "../../worker/src/errors.ts";
import type { ProblemCode, ProblemMembers } from "../../worker/src/errors.ts";

/** `members`: further fields of the error. */
export const problemOf = (code: ProblemCode, detail: string, members: ProblemMembers = {}): Record<string, unknown> =>
  problemBody(new Problem(code, detail, { members }), "http://coordinator.test/docs/errors");

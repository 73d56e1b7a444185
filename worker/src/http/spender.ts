/** The caller that a request to the provider is charged to. */
import { invalidField } from "../errors.ts";
import type { Problem } from "../errors.ts";
import { projectCaller } from "../quota/index.ts";
import type { Spender } from "../quota/index.ts";
import type { Caller } from "./access.ts";
import type { AppContext } from "./index.ts";

interface Given {
  readonly caller?: string | undefined;
  readonly priority: "interactive" | "background";
}

/** The administrator may set a caller and the priority `background`. A project always spends as itself, interactively. */
export function spenderOf(c: AppContext, who: Caller, given: Given, byDefault: string): Required<Spender> {
  const spender = spenderFor(who, given, byDefault);
  c.set("caller", spender.caller);
  return spender;
}

function spenderFor(who: Caller, { caller, priority }: Given, byDefault: string): Required<Spender> {
  if (who.kind === "admin") return { caller: caller ?? byDefault, priority, share: null, shareMode: "unlimited" };
  if (caller !== undefined && caller !== projectCaller(who.projectId)) throw onlyAdmin("caller", caller, projectCaller(who.projectId));
  if (priority !== "interactive") throw onlyAdmin("priority", priority, "interactive");
  return { caller: projectCaller(who.projectId), priority, share: who.share, shareMode: who.shareMode };
}

function onlyAdmin(path: string, value: string, expected: string): Problem {
  const message = `must be ${expected} for this key. Only the admin token may set a different value`;
  return invalidField(path, message, value, "forbidden");
}

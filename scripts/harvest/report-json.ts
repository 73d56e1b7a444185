/** One JSON object a line; `--help` names the types. */
import type { HarvestEvent, Reporter } from "./events.ts";

export class JsonReporter implements Reporter {
  tell(event: HarvestEvent): void {
    if (event.type === "asking") return;
    const { type, ...rest } = event;
    const fields = event.type === "quota" ? event.quota : rest;
    console.log(JSON.stringify({ type, at: new Date().toISOString(), ...fields }));
  }

  close(): void {
    // Nothing stays open.
  }
}

/** One request after the other at the same door: what is wrong with each answer, and whatever was accepted is undone. */
import type { Reply } from "../routes/support.ts";
import { forgetReturnedSecrets } from "../support/secret-watch.ts";
import { forbidden, unpromised } from "./answers.ts";
import type { Operation } from "./described.ts";
import type { Sent } from "./requests.ts";
import { contents, differences, putBack } from "./stores.ts";
import { ask, calmQuota, ledgerState, makeWorld } from "./world.ts";
import type { World } from "./world.ts";

export class Trial {
  readonly world: World;
  /** As it stands before each request. */
  #ledger: string;

  private constructor(world: World, ledger: string) {
    this.world = world;
    this.#ledger = ledger;
  }

  static async begin(): Promise<Trial> {
    return new Trial(await makeWorld(), await ledgerState());
  }

  /** What is wrong with the answer to one request, and with what it changed. */
  async faults(operation: Operation, sent: Sent): Promise<string[]> {
    const answer = await ask(this.world, operation.method, sent);
    const wrong = unpromised(operation, answer);
    if (answer.status < 400)
      wrong.push(...forbidden(operation, sent).map((why) => `${answer.status} to what the document forbids: ${why}`));
    if (answer.status >= 400 || operation.method === "GET") wrong.push(...(await this.changes(answer)));
    if (answer.status < 400 ? operation.method !== "GET" : answer.body["counted"] === true) await this.undo();
    return wrong;
  }

  /** What changed, where nothing may have: by whoever reads, and by a request that was refused. */
  async changes({ body }: Pick<Reply, "body">): Promise<string[]> {
    const after = await ledgerState();
    // A statement that SQLite refuses was looked at all the same: the answer says that it counts.
    const uses = body["counted"] === true ? ["admissions", "counters", "billing_periods"] : [];
    const rows = differences(this.world.contents, await contents(), uses);
    return after === this.#ledger ? rows : [...rows, `- ledger ${this.#ledger}`, `+ ledger ${after}`];
  }

  async undo(): Promise<void> {
    if (this.#ledger !== (await ledgerState())) {
      await calmQuota();
      this.#ledger = await ledgerState();
    }
    await putBack(this.world.contents);
    forgetReturnedSecrets();
  }
}

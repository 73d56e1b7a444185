/** Sends requests one by one, checks each answer, and undoes accepted changes. */
import type { Reply } from "../routes/support.ts";
import { forgetReturnedSecrets } from "../support/secret-watch.ts";
import { answerViolations, requestViolations } from "./answers.ts";
import type { Operation } from "./operations.ts";
import type { Sent } from "./requests.ts";
import { contents, differences, putBack } from "./stores.ts";
import { resetQuota, ledgerState, makeWorld, send } from "./world.ts";
import type { World } from "./world.ts";

export class Trial {
  readonly world: World;
  /** The ledger's status before each request. */
  #ledger: string;

  private constructor(world: World, ledger: string) {
    this.world = world;
    this.#ledger = ledger;
  }

  static async begin(): Promise<Trial> {
    return new Trial(await makeWorld(), await ledgerState());
  }

  /** Faults of one answer, and of the changes that the request made. */
  async faults(operation: Operation, sent: Sent): Promise<string[]> {
    const answer = await send(this.world, operation.method, sent);
    const found = answerViolations(operation, answer);
    if (answer.status < 400)
      found.push(...requestViolations(operation, sent).map((reason) => `${answer.status} for a forbidden request: ${reason}`));
    if (answer.status >= 400 || operation.method === "GET") found.push(...(await this.changes(answer)));
    if (answer.status < 400 ? operation.method !== "GET" : answer.body["counted"] === true) await this.undo();
    return found;
  }

  /** Changes after a read or a refused request, which must not change anything. */
  async changes({ body }: Pick<Reply, "body">): Promise<string[]> {
    const after = await ledgerState();
    // A statement that SQLite refused counts as a use. The answer says so.
    const uses = body["counted"] === true ? ["admissions", "counters", "billing_periods"] : [];
    const rows = differences(this.world.contents, await contents(), uses);
    return after === this.#ledger ? rows : [...rows, `- ledger ${this.#ledger}`, `+ ledger ${after}`];
  }

  async undo(): Promise<void> {
    if (this.#ledger !== (await ledgerState())) {
      await resetQuota();
      this.#ledger = await ledgerState();
    }
    await putBack(this.world.contents);
    forgetReturnedSecrets();
  }
}

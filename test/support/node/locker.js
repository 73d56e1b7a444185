/** A process that tries for a lock and says what came of it: `held` or `refused`. It lets go when its input ends. */
import { tryLock } from "../../../scripts/start/lock.js";

const [name = ""] = process.argv.slice(2);
const release = await tryLock(name);
console.log(release ? "held" : "refused");
if (release) process.stdin.resume().once("end", () => release());

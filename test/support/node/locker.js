/** A process that takes a lock if it is free. It prints `held` or `refused`, and releases the lock when its input ends. */
import { tryLock } from "../../../scripts/start/lock.js";

const [name = ""] = process.argv.slice(2);
const release = await tryLock(name);
console.log(release ? "held" : "refused");
if (release) process.stdin.resume().once("end", () => release());

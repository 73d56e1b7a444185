/** A lock between processes. Each contender listens on its own socket, which the system closes when its process ends. */
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Simultaneous contenders all withdraw and retry after a random pause. */
const ATTEMPTS = 6;
const LONGEST_PAUSE_MS = 100;

/**
 * @param {string} name
 * @returns {Promise<(() => void) | null>} the function that releases the lock, or null while another process holds it
 */
export async function tryLock(name) {
  // Hashed, because the path of a socket may have about 100 characters.
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 16);
  const folder = join(tmpdir(), `npm-start-locks-${userInfo().uid}`);
  mkdirSync(folder, { recursive: true });
  for (let attempt = 1; ; attempt += 1) {
    const release = await contend(folder, hash);
    if (release || attempt === ATTEMPTS) return release;
    await sleep(Math.random() * LONGEST_PAUSE_MS);
  }
}

/**
 * Of two contenders, the later one sees the socket of the other, so at most one of them wins. Each socket has a unique name, so that
 * removing a dead one never removes a live one. A new socket may look dead too. Its owner notices the removal in its own check.
 * @param {string} folder
 * @param {string} prefix of the sockets of one lock
 */
async function contend(folder, prefix) {
  const own = `${prefix}-${process.pid}-${randomBytes(3).toString("hex")}`;
  const server = createServer((socket) => socket.destroy()).unref();
  await once(server.listen(join(folder, own)), "listening");
  const names = readdirSync(folder).filter((name) => name.startsWith(prefix));
  const others = names.filter((name) => name !== own).map((name) => join(folder, name));
  const live = await Promise.all(others.map(isLive));
  if (!names.includes(own) || live.includes(true)) {
    server.close();
    return null;
  }
  for (const dead of others) rmSync(dead, { force: true });
  const release = () => {
    process.off("exit", release);
    // Closing also removes the file.
    server.close();
  };
  process.on("exit", release);
  return release;
}

/**
 * @param {string} path
 * @returns {Promise<boolean>}
 */
function isLive(path) {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    // Any other error, such as a full queue, comes from a live socket.
    socket.once("error", (error) => resolve(!("code" in error && /^E(CONNREFUSED|NOENT|NOTSOCK)$/.test(String(error.code)))));
  });
}
